"""An agent as frameworks build it: a history, a habit, a connection, and steps that go through the proxy.

What lives here: one step, one loop, failures and retries, what models and tools say. What does not: kinds of runs (`kinds.py`).
"""

import random
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import count
from typing import Any

from tests.helpers.runs.wild.families import Family, Prompt
from tests.helpers.runs.wild.said import (
    HABITS,
    Answer,
    Call,
    Message,
    remembered,
    result,
    user,
)
from tests.helpers.runs.wild.world import Ask, Rest, Work

Step = Generator[Any, Any, Answer]
_WORDS = [
    "report",
    "ledger",
    "invoice",
    "parser",
    "socket",
    "harbour",
    "quarter",
    "margin",
    "vector",
    "tensor",
    "cache",
    "deploy",
    "shard",
    "replica",
    "customer",
    "refund",
    "latency",
    "budget",
    "orchard",
    "compile",
    "branch",
    "merge",
    "token",
    "schema",
    "column",
    "index",
    "bridge",
    "tunnel",
    "copper",
    "signal",
    "weather",
    "river",
    "engine",
    "piston",
    "valve",
    "carbon",
    "oxygen",
    "market",
    "bond",
    "yield",
    "coupon",
    "lemon",
    "garden",
    "museum",
    "ticket",
    "flight",
    "hotel",
    "cargo",
    "vessel",
    "anchor",
]
TASKS = ["Find out why the nightly build fails and fix it.", "Summarise the open tickets of our biggest customer.",
         "What is the weather in Paris, and do I need an umbrella?"]  # fmt: skip
SYSTEMS = ["You are a careful software engineer. Use the tools.", "You are a helpful assistant."]  # fmt: skip
TOOLS = ("search", "read", "list")


class Agent:
    """One agent; `words` decides what is said, `ids` what nobody else says."""

    def __init__(self, name: str, family: Family, habit: str, seed: int, words: int, **also: Any) -> None:  # fmt: skip
        self.name, self.family, self.habit = name, family, HABITS[habit]
        self.seed, self.words, self.ids = seed, random.Random(words), random.Random(seed)  # fmt: skip
        self.run = self.crew = self.chain = name
        self.kind: str = also.get("kind", "")
        self.mode: str = also.get("mode", "replay")
        self.ports: str = also.get("ports", "pool")
        self.stream = bool(also.get("stream"))
        self.history: list[Message] = []
        self.system: str = self.words.choice(SYSTEMS)
        self.tools: tuple[str, ...] = TOOLS
        self.headers: list[tuple[str, str]] = []
        self.sent = 0
        self.previous = ""
        self.conversation = f"conv_{self.ids.getrandbits(80):020x}" if self.mode == "conversation" else ""  # fmt: skip
        self._counted, self._steps, self._spawned = count(), count(), count()
        self._port = self.ids.randint(40_000, 60_000)

    def also(self, label: str, *, of_crew: bool = True, run: str | None = None) -> "Agent":  # fmt: skip
        """Give another agent of the same process, with a conversation of its own."""
        number = next(self._spawned)
        made = Agent(f"{self.name}/{label}{number}", self.family, "plain", self.seed * 31 + number + 1, self.words.getrandbits(32),
                     kind=self.kind, ports=self.ports, stream=self.stream, mode="replay")  # fmt: skip
        made.habit, made._port = self.habit, self._port
        if of_crew:
            made.crew = self.crew
        if run is not None:
            made.run = run
        return made

    def branched(self, label: str) -> "Agent":
        """Give an agent that goes on from where this one is; a run of its own."""
        made = self.also(label, of_crew=False)
        made.history, made.system, made.tools = list(self.history), self.system, self.tools  # fmt: skip
        made.mode, made.sent, made.previous, made.conversation = self.mode, self.sent, self.previous, self.conversation  # fmt: skip
        return made

    # What is said.

    def text(self, low: int = 5, high: int = 40) -> str:
        """Give prose of so many words."""
        said = " ".join(self.words.choices(_WORDS, k=self.words.randint(low, high)))
        return said.capitalize() + "."

    def answer(self, calls: int = 0, text: str | None = None) -> Answer:
        """Give what the model says next."""
        if text is None:
            text = self.text(4, 30) if not calls or self.words.random() < 0.3 else ""
            if text and self.words.random() < 0.3:
                text = f"{text}\n\n* {self.text(2, 5)}\n* {self.text(2, 5)}\n"
        thinks = self.words.random() < 0.4 and self.family.shape in ("anthropic", "gemini", "responses", "chat")  # fmt: skip
        thinking = self.text(8, 20) if thinks else ""
        signed = thinks or (self.family.shape == "gemini" and bool(calls) and self.words.random() < 0.9)  # fmt: skip
        signature = f"Er/{self.ids.getrandbits(600):0150x}+A==" if signed else ""
        made = tuple(self._call() for _ in range(calls))
        return Answer(text, made, thinking, signature, id=f"resp_{self.ids.getrandbits(120):030x}")  # fmt: skip

    def _call(self) -> Call:
        name = self.words.choice(self.tools if self.tools else TOOLS)
        args: dict[str, Any] = {"q": self.text(1, 6)}
        if self.words.random() < 0.4:
            args |= {"limit": self.words.randint(1, 9), "deep": {"b": [1, 2], "a": "Größe é <b>"}}  # fmt: skip
        return Call(self._id(name), name, args)

    def _id(self, name: str) -> str:
        start = self.family.ids
        if start == "-":
            return ""
        if start == "nine":
            return "".join(self.ids.choices("abcdefghijkLMNOPQRSTUV0123456789", k=9))
        if start == "functions.":
            return f"functions.{name}:{next(self._counted)}"
        return start + "".join(
            self.ids.choices("abcdefghijkLMNOPQRSTUV0123456789", k=22)
        )

    def found(self) -> str:
        """Give what a tool returns."""
        kind = self.words.random()
        if kind < 0.25:
            return self.words.choice(["ok", "", "null", "[]", "done", "True"])
        if kind < 0.5:
            return '{"items": [' + ", ".join(f'{{"id": {self.words.randint(1, 99)}, "title": "{self.text(2, 4)}"}}' for _ in range(3)) + "]}"  # fmt: skip
        return self.text(10, 90)

    # Steps.

    def ask(self, answer: Answer, messages: list[Message] | None = None, **over: Any) -> Ask:  # fmt: skip
        """Make a request."""
        held = self.mode in ("previous", "conversation") and messages is None
        sent = self.history[self.sent :] if held else self.history if messages is None else messages  # fmt: skip
        prompt = Prompt(list(sent), over.get("system", self.system), over.get("tools", self.tools), self.stream)  # fmt: skip
        if held:
            prompt.previous = self.previous if self.mode == "previous" else ""
            prompt.conversation = self.conversation
        port = {"own": self._port, "fresh": self.ids.randint(1024, 65_535)}.get(self.ports, 40_000 + self.ids.randint(0, 5))  # fmt: skip
        step = over.get("step") or f"{self.name}#{next(self._steps)}"
        return Ask(self.family, self.habit, prompt, answer, over.get("run", self.run), self.crew, over.get("chain", self.chain), step,
                   [*self.headers, *over.get("headers", ())], port, 0.3 + self.ids.random() * 4, len(self.history), self.kind)  # fmt: skip

    def step(self, answer: Answer, messages: list[Message] | None = None, **over: Any) -> Step:  # fmt: skip
        """Ask until there is an answer, and remember it."""
        asked = self.ask(answer, messages, **over)
        tries = 0
        while True:
            got = yield asked
            if got is not None and got.status == 200:
                break
            tries += 1
            yield Rest(0.5 * 2**tries)
            sdk = [("x-stainless-retry-count", str(tries))] if tries % 2 and got else []
            asked = replace(asked, answer=answer, headers=[*self.headers, *sdk])
        if over.get("remember", True):
            self.history.append(remembered(answer, self.habit, self.ids))
            self.sent, self.previous = len(self.history), answer.id
        yield Rest(0.1 + self.ids.random() * 3)
        return answer

    def failing(self, answer: Answer, statuses: list[int], messages: list[Message] | None = None, *, sdk: bool) -> Step:  # fmt: skip
        """Ask again after each failure."""
        asked = self.ask(answer, messages)
        for tries, status in enumerate(statuses):
            said = [("x-stainless-retry-count", str(tries))] if sdk else []
            yield replace(asked, answer=replace(answer, status=status), headers=[*self.headers, *said])  # fmt: skip
            yield Rest(0.4 + self.ids.random())
        said = [("x-stainless-retry-count", str(len(statuses)))] if sdk else []
        while (yield replace(asked, headers=[*self.headers, *said])) is None:
            yield Rest(1.0)
        self.history.append(remembered(answer, self.habit, self.ids))
        self.sent, self.previous = len(self.history), answer.id
        yield Rest(0.1 + self.ids.random() * 3)
        return answer

    def results(self, answer: Answer, found: Callable[[], str] | None = None) -> None:
        """Put what the tools returned into the history, under the ids that the framework knows."""
        calls = list(self.history[-1].calls or answer.calls)
        for call in calls:
            self.history.append(result(call, (found or self.found)()))

    def turn(self, steps: int, text: str | None = None, *, last: str | None = None, **over: Any) -> Work:  # fmt: skip
        """A user message, so many steps with tools, and the answer."""
        self.history.append(user(text if text is not None else self.words.choice(TASKS)))  # fmt: skip
        for _ in range(steps):
            answer = yield from self.step(self.answer(calls=1), **over)
            self.results(answer)
        yield from self.step(self.answer(text=last), **over)
