"""Says what comes next in a conversation: the step of its plan, or what a helpful model would do without one.

What lives here: finding the plan, counting what was done, and fitting a step to what the request allows. What does not:
wire formats, tokens, time. Pure: the same question gets the same answer.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from proxy.simulate import parser
from proxy.simulate.instances import instance
from proxy.simulate.plan import (
    OPENING,
    Act,
    Call,
    Fault,
    Json,
    Pad,
    Plan,
    Say,
    Step,
    Think,
)
from proxy.simulate.question import (
    ANY_TOOL,
    ASSISTANT,
    NO_TOOL,
    SYSTEM,
    TOOL,
    USER,
    Answer,
    Finish,
    Question,
    Tool,
    ToolCall,
    UnacceptableError,
)
from proxy.simulate.scanner import PlanError
from proxy.simulate.styles import Style, say_in, style_of, write_call

DONE = "Done: there is nothing left to do."
_FILLER = "One thing leads to another, and all of it was simulated. "
_THOUGHTS = "Let me think about what is asked and what is known so far. "
_OBSERVED = re.compile(r"^Observation:", re.MULTILINE)
_LAST_WORDS = ("final_", "submit", "finish")
"""How the names of tools begin that end the work; by default they are called last."""


@dataclass(frozen=True, slots=True)
class Direction:
    """What to answer, and what to let go wrong before or while doing so."""

    answer: Answer
    faults: tuple[Fault, ...] = ()
    number: int = 0
    """Of the step, from 0."""


def direct(question: Question) -> Direction:
    """Say what comes next; raise `UnacceptableError` where the plan cannot be read."""
    plan, number = locate(question)
    step = plan.step(number) if plan else None
    if plan is None or (step and not _possible(step, question)):
        found = _unplanned(question)
    elif step is None:
        found = _compose(Step((Say(DONE),)), question, number)
    else:
        found = _compose(step, question, number)
    return Direction(_limit(found, question), step.faults if step else (), number)


def locate(question: Question) -> tuple[Plan | None, int]:
    """Find the newest plan and the number of its next step."""
    behind = 0
    for turn in reversed(question.turns):
        if turn.role == ASSISTANT:
            behind += 1
        elif OPENING in turn.text:
            try:
                found = parser.find(turn.text)
            except PlanError as error:
                raise UnacceptableError(str(error)) from None
            assert found is not None
            plan, end = found
            return plan, max(behind, len(_OBSERVED.findall(turn.text[end:])))
    return None, 0


def _possible(step: Step, question: Question) -> bool:
    """Whether the tools that a step calls are on offer, or can be called in text."""
    wanted = {a.tool for a in step.actions if isinstance(a, Call) and a.offered}
    if style_of(question) is not Style.NATIVE:
        return not wanted or style_of(question) is not Style.NONE
    return wanted <= {tool.name for tool in question.tools}


def _unplanned(question: Question) -> Answer:
    """Call each tool once since the user spoke last, then say something."""
    called: set[str] = set()
    for turn in reversed(question.turns):
        if turn.role == USER:
            break
        called.update(turn.calls)
    left = [t for t in question.tools if t.name not in called and not _ends(t)]
    if left and question.forced != NO_TOOL and _free(question):
        return _compose(Step((Call(left[0].name),)), question, 0)
    asked = next((t.text for t in reversed(question.turns) if t.role == USER), "")
    words = " ".join(asked.split()[:12])
    return _compose(
        Step((Say(f"This is a simulated answer to: {words}"),)), question, 0
    )


def _free(question: Question) -> bool:
    return question.forced in ("", ANY_TOOL)


def _ends(tool: Tool) -> bool:
    return tool.name.startswith(_LAST_WORDS)


def _compose(step: Step, question: Question, number: int) -> Answer:
    fill = _Filling(number, _last_result(question))
    style = style_of(question)
    texts: list[str] = []
    calls: list[ToolCall] = []
    reasoning = ""
    for action in step.actions:
        match action:
            case Think(tokens):
                reasoning += _filler(_THOUGHTS, tokens)
            case Call() if style is Style.NATIVE or not action.offered:
                calls.append(_native(action, question, fill))
            case Call(tool, arguments) | Act(tool, arguments):
                in_style = style if isinstance(action, Call) else Style.REACT
                texts.append(write_call(in_style, tool, fill.object(arguments or {})))
            case Say(text):
                texts.append(fill.text(text))
            case Pad(tokens):
                texts.append(_filler(_FILLER, tokens))
            case Json(value):
                texts.append(json.dumps(fill.value(value), ensure_ascii=False))
    only_said = not any(isinstance(a, Call | Act) for a in step.actions)
    text = " ".join(texts) if only_said else "\n".join(texts)
    if only_said and texts:
        text = say_in(style, text)
    answer = Answer(reasoning * question.can_reason, text, tuple(calls))
    return _demanded(answer, question)


def _demanded(answer: Answer, question: Question) -> Answer:
    """Meet what the request demands: a call, no call, or JSON."""
    calls = answer.calls
    if question.forced == NO_TOOL:
        calls = ()
    elif question.forced == ANY_TOOL and not calls and question.tools:
        calls = (_output_call(_output_tool(question), answer.text),)
    elif not _free(question):
        tool = next((t for t in question.tools if t.name == question.forced), None)
        if tool and tool.name not in {call.tool for call in calls}:
            calls = (_output_call(tool, answer.text),)
    if not question.parallel:
        calls = calls[:1]
    if calls and not answer.calls:
        return replace(answer, text="", calls=calls)
    text = answer.text or ("" if calls else "…")
    if question.schema is not None and not _is_object(text):
        # A model that can only write JSON says nothing before its calls.
        made = instance(question.schema, text)
        text = "" if calls else json.dumps(made, ensure_ascii=False)
    return replace(answer, text=text, calls=calls)


def _output_tool(question: Question) -> Tool:
    last = [tool for tool in question.tools if _ends(tool)]
    return (last or [*question.tools])[-1]


def _output_call(tool: Tool, text: str) -> ToolCall:
    made = (
        text
        if _is_object(text)
        else json.dumps(instance(tool.schema, text), ensure_ascii=False)
    )
    return ToolCall(tool.name, made)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _native(call: Call, question: Question, fill: "_Filling") -> ToolCall:
    if call.raw is not None:
        return ToolCall(call.tool, fill.text(call.raw))
    arguments = call.arguments
    if arguments is None:
        schema = next((t.schema for t in question.tools if t.name == call.tool), {})
        arguments = instance(schema)
    return ToolCall(call.tool, json.dumps(fill.object(arguments), ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class _Filling:
    """Puts the step's number and the newest tool result into strings."""

    number: int
    last: str

    def text(self, text: str) -> str:
        return text.replace("$last", self.last).replace("$n", str(self.number + 1))

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(each) for each in value]
        return self.object(value) if isinstance(value, dict) else value

    def object(self, value: dict[str, Any]) -> dict[str, Any]:
        return {name: self.value(each) for name, each in value.items()}


def _last_result(question: Question) -> str:
    for turn in reversed(question.turns):
        if turn.role == TOOL or (
            turn.role == USER and turn.text.startswith("Observation:")
        ):
            return turn.text.removeprefix("Observation:").strip()
        if turn.role not in (SYSTEM, ASSISTANT, USER):
            break
    return ""


def _filler(words: str, tokens: int) -> str:
    """Give text of exactly so many tokens (four characters each)."""
    length = 4 * tokens
    return (words * (length // len(words) + 1))[:length]


def _limit(answer: Answer, question: Question) -> Answer:
    """End the answer where a stop sequence or the limit of tokens says so."""
    text, finish, sequence = answer.text, Finish.STOP, None
    cuts = [(text.find(stop), stop) for stop in question.stops if stop and stop in text]
    if cuts:
        at, sequence = min(cuts)
        text, finish = text[:at], Finish.STOP_SEQUENCE
    calls, reasoning = answer.calls, answer.reasoning
    if calls:
        finish, sequence = Finish.CALLS, None
    if question.max_tokens is not None:
        room = 4 * max(1, question.max_tokens)
        said = len(reasoning) + len(text)
        if said + sum(len(c.tool) + len(c.arguments) for c in calls) > room:
            finish, sequence, calls = Finish.LENGTH, None, ()
            reasoning = reasoning[:room]
            text = text[: room - len(reasoning)]
    return Answer(reasoning, text, calls, finish, sequence)
