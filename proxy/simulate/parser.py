"""Reads plans, strictly: whatever is not the language of `plan.py` is an error that says where and what.

What lives here: the grammar. What does not: words and values (`scanner.py`), the language's description and its parts
(`plan.py`).
"""

from dataclasses import replace

from proxy.simulate.plan import (
    ALWAYS,
    CLOSING,
    OPENING,
    Act,
    Action,
    Call,
    Fault,
    Json,
    Loop,
    Pad,
    Plan,
    Say,
    Step,
    Think,
    gather,
)
from proxy.simulate.scanner import PlanError, Scanner

MAX_TOKENS = 1_000_000
MAX_COUNT = 1_000_000
MAX_DEPTH = 8


def find(text: str) -> tuple[Plan, int] | None:
    """Find the last plan of a text and where it ends, or nothing; raise `PlanError`.

    A plan inside of a string of another one is that string's matter, so the search goes on behind each plan.
    """
    found = None
    at = text.find(OPENING)
    while at >= 0:
        parser = _Parser(text, at + len(OPENING))
        found = parser.plan(), parser.scan.at
        at = text.find(OPENING, parser.scan.at)
    return found


def parse(text: str) -> Plan:
    """Read a text that is one plan and nothing else; raise `PlanError`."""
    if not text.startswith(OPENING):
        raise PlanError(f"a plan begins with {OPENING}")
    parser = _Parser(text, len(OPENING))
    plan = parser.plan()
    if parser.scan.at != len(text):
        raise parser.scan.error("expected nothing behind the plan")
    return plan


class _Parser:
    def __init__(self, text: str, at: int) -> None:
        self.scan = Scanner(text, at)
        self.depth = 0

    def plan(self) -> Plan:
        nodes = self._steps()
        if not self.scan.eat(CLOSING):
            raise self.scan.error(f"expected |, & or {CLOSING}")
        return Plan(nodes)

    def _steps(self) -> tuple[Step | Loop, ...]:
        nodes = [self._node()]
        while self.scan.eat("|"):
            nodes.append(self._node())
        return gather(nodes)

    def _node(self) -> Step | Loop:
        if self.scan.word_is("loop"):
            return self._loop()
        actions: list[Action] = []
        faults: list[Fault] = []
        while True:
            one = self._action()
            if isinstance(one, Fault):
                faults.append(one)
            else:
                actions.append(one)
            if not self.scan.eat("&"):
                return Step(tuple(actions), tuple(faults))

    def _loop(self) -> Loop:
        self.scan.word()
        count = ALWAYS
        if not self.scan.keyword("forever"):
            count = self.scan.count("how often to loop, or forever", MAX_COUNT)
            if not count:
                raise self.scan.error("a loop runs at least once")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.scan.error(
                f"expected no more than {MAX_DEPTH} loops in each other"
            )
        if self.scan.eat("("):
            body = self._steps()
            if not self.scan.eat(")"):
                raise self.scan.error("expected |, & or ) in the loop")
        else:
            body = (self._node(),)
        self.depth -= 1
        return Loop(count, body)

    def _action(self) -> Action | Fault:
        self.scan.skip()
        start = self.scan.at
        word = self.scan.word()
        match word:
            case "call" | "call!":
                return self._call(word == "call")
            case "act":
                return Act(self.scan.name(), self.scan.arguments())
            case "say":
                return Say(self._text())
            case "json":
                return Json(self.scan.json("a JSON value"))
            case "pad":
                return Pad(self.scan.count("a number of tokens", MAX_TOKENS))
            case "think":
                return Think(self.scan.count("a number of tokens", MAX_TOKENS))
            case _:
                pass
        fault = self._fault(word)
        if fault is None:
            self.scan.at = start
            raise self.scan.error(
                "expected call, call!, act, say, json, pad, think, loop, fail, slow, cut, error or hang"
            )
        return fault

    def _call(self, offered: bool) -> Call:
        name = self.scan.name()
        if self.scan.keyword("raw"):
            raw = self.scan.json("a JSON string")
            if not isinstance(raw, str):
                raise self.scan.error("expected a JSON string behind raw")
            return Call(name, None, offered, raw)
        return Call(name, self.scan.arguments(), offered)

    def _fault(self, word: str) -> Fault | None:
        match word:
            case "fail":
                fault = self._fail()
            case "slow":
                fault = Fault("slow", seconds=self.scan.seconds(), times=ALWAYS)
            case "cut":
                self.scan.expect("after")
                fault = Fault("cut", after_tokens=self._after())
            case "error":
                self.scan.expect("in")
                self.scan.expect("stream")
                after = self._after() if self.scan.keyword("after") else 0
                fault = Fault("error", after_tokens=after)
            case "hang":
                fault = Fault("hang")
            case _:
                return None
        return replace(fault, times=self._times(fault.times))

    def _fail(self) -> Fault:
        status = self.scan.count("a status from 400 to 599", 599)
        if status < 400:
            raise self.scan.error("expected a status from 400 to 599")
        quota = self.scan.keyword("quota")
        retry_after = self.scan.seconds() if self.scan.keyword("retry-after") else None
        return Fault("fail", status, quota, retry_after)

    def _times(self, usual: int) -> int:
        if self.scan.keyword("always"):
            return ALWAYS
        if not self.scan.keyword("times"):
            return usual
        times = self.scan.count("how many times", MAX_COUNT)
        if not times:
            raise self.scan.error("expected at least one time")
        return times

    def _after(self) -> int:
        tokens = self.scan.count("a number of tokens", MAX_TOKENS)
        self.scan.keyword("tokens")
        return tokens

    def _text(self) -> str:
        self.scan.skip()
        if self.scan.text.startswith('"', self.scan.at):
            return str(self.scan.json("a JSON string"))
        ends = [self.scan.text.find(sign, self.scan.at) for sign in self._signs()]
        end = min((each for each in ends if each >= 0), default=len(self.scan.text))
        said = self.scan.text[self.scan.at : end].strip()
        if not said:
            raise self.scan.error('expected a text (`say ""` for none)')
        self.scan.at = end
        return said

    def _signs(self) -> tuple[str, ...]:
        return ("|", "&", CLOSING, ")") if self.depth else ("|", "&", CLOSING)
