"""What identification costs: processor time per request by the size of its body, and the longest it holds up the event loop.

What lives here: requests of an agent's loop that are identified in this process, and the arithmetic. What does not: metering
(`metering.py`), sockets (`scenarios.py`).

Method. A worker that has seen nothing gets a conversation of so many bytes (`cold`: the median of `Identifier.identify`), remembers its
answer when that is known (`answer`), and gets the conversation again with the tool call and a result behind it, as agents send it
(`warm`: the usual case, since all but two messages have been seen). All includes reading the
body's messages, the ladder, the state in memory, the memo for the spool and the `Open`. A coroutine is driven by hand, so that the
longest slice between two turns of the event loop is known.
"""

import gc
import statistics
import sys
from collections.abc import Iterator
from itertools import count
from time import process_time_ns
from typing import Any

import msgspec

from proxy.admission import Admitted, Identifier, Installation, Request
from proxy.http.headers import Headers
from proxy.model import (
    ANONYMOUS,
    Ask,
    ErrorType,
    Kind,
    Outcome,
    Reading,
    ToolCall,
)
from proxy.recognition import Recognizer
from proxy.state.memory import MemoryState

SIZES = {"20 KB": (20_000, 20), "500 KB": (500_000, 60), "8 MB": (8_000_000, 200)}
"""Bytes of a body, and of how many messages it consists."""
ROUNDS = {"20 KB": 101, "500 KB": 41, "8 MB": 9}
WARM_UP = 3
_ASK = Ask("openai_chat", "chat", Kind.LLM, is_step=True)
_HEADERS = Headers([(b"authorization", b"Bearer sk-x"), (b"user-agent", b"OpenAI/Python 2.9")])  # fmt: skip


class Cost(msgspec.Struct, frozen=True):
    """What identification costs, in microseconds of processor time."""

    size: str
    sort: str
    """`warm`, `cold`, `answer`."""
    median_us: float
    slice_us: float
    """The longest time without a turn of the event loop."""


def measure() -> list[Cost]:
    """Measure all sizes and sorts."""
    gc.collect()
    gc.disable()
    try:
        return [cost for size in SIZES for cost in _costs_of(size)]
    finally:
        gc.enable()


def line_of(cost: Cost) -> str:
    """Give a cost as one line."""
    return f"  identifying {cost.size:<7} {cost.sort:<7} {cost.median_us:10.1f} us cpu  (slice {cost.slice_us:.1f})"


def _costs_of(size: str) -> Iterator[Cost]:
    found: dict[str, list[tuple[float, float]]] = {"warm": [], "cold": [], "answer": []}
    for number in range(-WARM_UP, ROUNDS[size]):
        agent, identifier = _Agent(*SIZES[size]), _identifier()
        cold, admitted = _identified(identifier, agent.body())
        assert admitted.trail is not None
        began = process_time_ns()
        admitted.trail.answered(Outcome.COMPLETED, ErrorType.NONE, agent.reading(), number)  # fmt: skip
        told = (process_time_ns() - began) / 1e3
        agent.go_on()
        warm, later = _identified(identifier, agent.body())
        if later.opened.step_seq != 2:
            raise ValueError("the run did not go on")
        if number >= 0:
            found["warm"].append(warm)
            found["cold"].append(cold)
            found["answer"].append((told, told))
    for sort, each in found.items():
        median = statistics.median(total for total, _ in each)
        yield Cost(size, sort, round(median, 1), round(max(part for _, part in each), 1))  # fmt: skip


class _Agent:
    """A loop that calls one tool again and again."""

    def __init__(self, size: int, messages: int) -> None:
        share = "What was found here is a page of text. " * (size // messages // 39)
        self._ids = count(1)
        self._messages: list[Any] = [{"role": "user", "content": share}]
        for _ in range(messages // 2 - 1):
            self.go_on(share)

    def go_on(self, found: str = "nothing") -> None:
        """Add a call and its result."""
        call_id = self._call_id(next(self._ids))
        function = {"name": "search", "arguments": '{"q": "tea"}'}
        call = {"id": call_id, "type": "function", "function": function}
        self._messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call_id, "content": found},
        ]

    def body(self) -> bytes:
        """Give the next request."""
        return msgspec.json.encode({"model": "gpt-5", "messages": self._messages})

    def reading(self) -> Reading:
        """Say what it is answered."""
        call_id = self._call_id(len(self._messages) // 2 + 1)
        return Reading(tool_calls=(ToolCall(call_id, "search", b'{"q": "tea"}'),))

    @staticmethod
    def _call_id(number: int) -> str:
        return f"call_{number:05d}aB3dE5gH7jK9mN1pQ"


def _identifier() -> Identifier:
    ids = count(1)

    def new_id(_: int) -> str:
        return f"{next(ids):032x}"

    def fail(phase: str) -> None:
        raise ValueError(f"a fault of {phase}")

    home = Installation("i", "t", "", "", b"secret")
    recognizer = Recognizer(home.seed, MemoryState(100, 10**15), new_id)
    return Identifier(home, recognizer, new_id, lambda _: None, fail)


def _identified(
    identifier: Identifier, body: bytes
) -> tuple[tuple[float, float], Admitted]:
    """Give microseconds in all and of the longest slice, and what was found."""
    request = Request(
        _HEADERS, "POST", ANONYMOUS, "openai", "openai", "/v1/chat/completions", b"", _ASK, 1, body=body, peer=("::1", 1)
    )  # fmt: skip
    identifying = identifier.identify(request, 1_790_000_000_000_000_000)
    slices: list[float] = []
    while True:
        began = process_time_ns()
        try:
            identifying.send(None)
        except StopIteration as ended:
            slices.append((process_time_ns() - began) / 1e3)
            admitted: Admitted = ended.value
            return (sum(slices), max(slices)), admitted
        slices.append((process_time_ns() - began) / 1e3)


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(line_of, measure())) + "\n")
