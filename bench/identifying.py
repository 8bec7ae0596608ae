"""What identification costs: processor time per request by the size of its body, and the longest it holds up the event loop.

What lives here: requests of an agent's loop that are identified in this process, and the arithmetic. What does not: metering
(`metering.py`), sockets (`scenarios.py`).

Method. A worker that has seen nothing gets a conversation (`cold`), remembers its answer when that is known (`answer`), and gets the
conversation again with the tool call and a result behind it, as agents send it (`warm`: the usual case, since all but two messages have
been seen). At last it gets another conversation of the same agent (`new`: prompt and tools have been seen, no message has). Each round
has a worker and an agent of its own; the figure is the median of `Identifier.identify` over the rounds. All includes reading the body's
messages, the ladder, the state in memory, the memo for the spool and the `Open`. A coroutine is driven by hand, so that the longest slice
between two turns of the event loop is known. No collection of garbage.
"""

import gc
import statistics
import sys
from collections.abc import Iterator
from itertools import count
from time import process_time_ns

import msgspec

from bench.conversations import FAMILIES, Loop, Shape
from proxy.admission import Admitted, Identifier
from proxy.arriving import Installation, Request
from proxy.http.headers import Headers
from proxy.model import ANONYMOUS, Ask, ErrorType, Kind, Outcome
from proxy.recognition import Recognizer
from proxy.state.memory import MemoryState

SHAPES = [
    *(Shape(family, "20 KB", 20_000, messages) for family in FAMILIES for messages in (1, 20, 60)),
    *(Shape(family, "500 KB", 500_000, messages) for family in FAMILIES for messages in (60, 200)),
    Shape("chat", "8 MB", 8_000_000, 200),
    Shape("chat", "8 MB", 8_000_000, 2000),
]  # fmt: skip
ROUNDS = {"20 KB": 101, "500 KB": 41, "8 MB": 9}
WARM_UP = 3
SORTS = ("warm", "new", "cold", "answer")
_HEADERS = Headers([(b"authorization", b"Bearer sk-x"), (b"user-agent", b"OpenAI/Python 2.9")])  # fmt: skip


class Cost(msgspec.Struct, frozen=True):
    """What identification costs, in microseconds of processor time."""

    shape: Shape
    sort: str
    """`warm`, `new`, `cold`, `answer`."""
    median_us: float
    slice_us: float
    """The longest time without a turn of the event loop, in any of the rounds."""


def measure() -> list[Cost]:
    """Measure all sizes and sorts."""
    gc.collect()
    gc.disable()
    try:
        return [cost for shape in SHAPES for cost in _costs_of(shape)]
    finally:
        gc.enable()


def line_of(cost: Cost) -> str:
    """Give a cost as one line."""
    return f"  identifying {cost.shape.name:<24} {cost.sort:<7} {cost.median_us:10.1f} us cpu  (slice {cost.slice_us:.1f})"


def _costs_of(shape: Shape) -> Iterator[Cost]:
    rounds = [_round(shape, number) for number in range(WARM_UP + ROUNDS[shape.size])]
    for sort in SORTS:
        each = [made[sort] for made in rounds[WARM_UP:]]
        median = statistics.median(map(sum, each))
        longest = max(map(max, each))
        yield Cost(shape, sort, round(median, 1), round(longest, 1))


def _round(shape: Shape, number: int) -> dict[str, list[float]]:
    """Give the slices of each sort, in microseconds."""
    agent, other = (Loop(shape, each, number) for each in (number, number + 1000))
    identifier = _identifier()
    cold, admitted = _identified(identifier, agent)
    assert admitted.trail is not None
    began = process_time_ns()
    admitted.trail.answered(Outcome.COMPLETED, ErrorType.NONE, agent.reading(), number)
    answer = [(process_time_ns() - began) / 1e3]
    agent.go_on()
    warm, later = _identified(identifier, agent)
    new, another = _identified(identifier, other)
    if (later.opened.step_seq, another.opened.step_seq) != (2, 1):
        raise ValueError("the run did not go on, or did so with another conversation")
    return {"warm": warm, "new": new, "cold": cold, "answer": answer}


def _identifier() -> Identifier:
    ids = count(1)

    def new_id(_: int) -> str:
        return f"{next(ids):032x}"

    def fail(phase: str) -> None:
        raise ValueError(f"a fault of {phase}")

    home = Installation("i", "t", "", "", b"secret")
    recognizer = Recognizer(home.seed, MemoryState(10_000, 10**15), new_id)
    return Identifier(home, recognizer, new_id, lambda _: None, fail)


def _identified(identifier: Identifier, agent: Loop) -> tuple[list[float], Admitted]:
    """Give the slices in microseconds, and what was found."""
    ask = Ask(agent.dialect, "chat", Kind.LLM, is_step=True)
    request = Request(
        _HEADERS, "POST", ANONYMOUS, "a", "a", agent.path, b"", ask, 1, body=agent.body(), peer=("::1", 1)
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
            return slices, admitted
        slices.append((process_time_ns() - began) / 1e3)


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(line_of, measure())) + "\n")
