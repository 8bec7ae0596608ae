"""What live runs cost in memory: `python -m bench.remembering --runs 2000`.

What lives here: identification as a worker has it, fed with agents' calls, and by how much its process grows. What does not: how long that
takes (`identifying.py`).

The figures are differences between two states of one process: before the runs, when what does not grow with them is full already (the
messages and ids that are known by sight: 50,000 and 8,192 of all runs together, 32 MB at most), and after them. `resident` is what the kernel says, `traced`
what Python allocated and has not freed.
"""

import argparse
import gc
import json
import os
import random
import sys
import tracemalloc
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from proxy.accept.ids import uuid7
from proxy.admission import Identifier
from proxy.arriving import Installation, Request
from proxy.http.headers import Headers
from proxy.identify.items import is_telling
from proxy.model import ANONYMOUS, Ask, ErrorType, Kind, Outcome, Reading, ToolCall
from proxy.recognition import Recognizer
from proxy.state.memory import MemoryState

AT_ONCE = 20
"""So many runs are under way together."""
DAY_US = 86_400 * 10**6
NOW_US = 1_790_000_000_000_000
TOOLS = ("search", "read_file", "send_mail", "mcp__tickets__list")
_ASK = Ask("openai_chat", "chat", Kind.LLM, True)
_HEADERS = Headers([(b"user-agent", b"OpenAI/Python 3.54.0"), (b"authorization", b"Bearer key")])  # fmt: skip
_WORDS = [
    "invoice",
    "total",
    "customer",
    "report",
    "order",
    "status",
    "file",
    "value",
    "price",
    "north",
    "river",
    "weather",
    "open",
    "result",
    "with",
    "found",
    "of",
    "the",
    "is",
    "and",
    "in",
]
T = TypeVar("T")


@dataclass
class Agent:
    """A loop: with tools that the provider knows, or with tools in the text."""

    dice: random.Random
    steps: int
    messages: list[dict[str, Any]] = field(default_factory=list)

    def words(self, count: int) -> str:
        return " ".join(self.dice.choices(_WORDS, k=count))

    def calls(self) -> Iterator[tuple[bytes, Reading]]:
        """Give each request, and what it is answered."""
        has_tools = self.dice.random() < 0.75
        self._say("system", "You are a research assistant that answers with tools.")
        self._say("user", self.words(30))
        for _ in range(self.steps):
            body = json.dumps({"model": "gpt-4o", "messages": self.messages}).encode()
            yield body, self._tools() if has_tools else self._text()
            if self.dice.random() < 0.03:
                self._say("user", self.words(8))

    def _say(self, role: str, content: str | None, **more: Any) -> None:
        self.messages.append({"role": role, "content": content, **more})

    def _tools(self) -> Reading:
        made = [
            (f"call_{self.dice.getrandbits(96):024x}", self.dice.choice(TOOLS), json.dumps({"q": self.words(4)}))
            for _ in range(self.dice.choice((1, 1, 1, 2)))
        ]  # fmt: skip
        asked = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in made
        ]  # fmt: skip
        self._say("assistant", None, tool_calls=asked)
        for call_id, _, _ in made:
            self._say("tool", self.words(40), tool_call_id=call_id)
        calls = tuple(ToolCall(call_id, name, arguments.encode()) for call_id, name, arguments in made)  # fmt: skip
        return Reading(tool_calls=calls, response_id=self._id())

    def _text(self) -> Reading:
        text = f"Thought: {self.words(25)}.\nAction: search {self.words(3)}"
        self._say("assistant", text)
        self._say("user", f"Observation: {self.words(40)}")
        return Reading(output_text=text, response_id=self._id())

    def _id(self) -> str:
        return f"chatcmpl-{self.dice.getrandbits(128):032x}"


class Remembering:
    """The identification of one worker."""

    def __init__(self) -> None:
        self.state = MemoryState(10**6, DAY_US)
        self._dice = random.Random(7)
        self._calls = 0
        home = Installation("i", "t", "", "", b"secret")

        def new_id(now_ns: int) -> str:
            return uuid7(now_ns, self._dice.getrandbits(62))

        def fail(phase: str) -> None:
            raise ValueError(f"a fault of {phase}")

        recognizer = Recognizer(home.seed, self.state, new_id)
        self._identifier = Identifier(home, recognizer, new_id, lambda _: None, fail)

    def live(self, runs: int, shortest: int, longest: int) -> None:
        """Have so many runs live on; each has done its steps."""
        for first in range(0, runs, AT_ONCE):
            count = min(AT_ONCE, runs - first)
            agents = [Agent(random.Random(self._dice.random()), self._dice.randint(shortest, longest)) for _ in range(count)]  # fmt: skip
            going = [agent.calls() for agent in agents]
            while going:
                chosen = self._dice.randrange(len(going))
                call = next(going[chosen], None)
                if call is None:
                    going.pop(chosen)
                else:
                    self._take(*call)

    def fill_up(self, messages: int = 52_000) -> None:
        """Show it so many messages and ids that all it knows by sight is of others."""
        for number in range(12_000):
            is_telling(f"call_{number:024x}")
        while messages > 0:
            agent = Agent(random.Random(self._dice.random()), 50)
            *_, last = agent.calls()
            self._take(*last)
            messages -= len(agent.messages)

    def _take(self, body: bytes, reading: Reading) -> None:
        self._calls += 1
        now_us = NOW_US + self._calls * 1000
        request = Request(
            _HEADERS, "POST", ANONYMOUS, "openai", "openai", "/v1/chat/completions", b"", _ASK, 1,
            body=body, peer=("::1", self._calls % 60_000),
        )  # fmt: skip
        trail = _done(self._identifier.identify(request, now_us * 1000)).trail
        assert trail is not None
        trail.answered(Outcome.COMPLETED, ErrorType.NONE, reading, now_us + 500)


def _done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to its end what only lets others have their turn."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as ended:
            value: T = ended.value
            return value


def measure(runs: int, shortest: int, longest: int, *, traced: bool) -> dict[str, int]:
    """Give bytes a live run."""
    if traced:
        tracemalloc.start()
    filled = Remembering()
    filled.fill_up()
    before, resident, held = len(filled.state), *_now()
    filled.live(runs, shortest, longest)
    resident_now, held_now = _now()
    runs = len(filled.state) - before
    found = {"runs": runs, "resident_bytes": (resident_now - resident) // runs}
    if traced:
        found["traced_bytes"] = (held_now - held) // runs
    return found


def _now() -> tuple[int, int]:
    """Give what is resident and what is traced."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), tracemalloc.get_traced_memory()[0]


def main() -> None:
    """Print what was measured, as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--shortest", type=int, default=40, help="steps of the shortest run")  # fmt: skip
    parser.add_argument("--longest", type=int, default=200)
    parser.add_argument("--traced", action="store_true", help="ask Python, too; takes three times as long")  # fmt: skip
    options = parser.parse_args()
    said = measure(options.runs, options.shortest, options.longest, traced=options.traced)  # fmt: skip
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
