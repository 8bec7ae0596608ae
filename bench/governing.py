"""What the policies cost a call: processor time of its whole way through a worker, but for sockets, with policies and without.

What lives here: calls that are identified, judged, answered and settled in this process, and the arithmetic. What does not: the decision
alone (`judging.py`), a worker with its sockets (`saturation.py`), conversations (`conversations.py`).

Method. Four workers' insides take the same calls, in an order that changes from call to call: without a governor, with all policies off, with the
defaults, and with all that there is, enforced, with budgets. A call is identified (where it is also judged), its records are encoded, its answer
is read, priced and settled. There are short chats, each another one, and the steps of an agent, which bring a call and its result and repeat
all that was said before. The figure is the median of the differences, call by call. No collection of garbage.
"""

import gc
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from time import process_time_ns
from types import SimpleNamespace
from typing import Any

import msgspec

from bench import policies
from bench.metering import desk_of
from bench.policies import SETTINGS, Call
from proxy.admission import Identifier
from proxy.arriving import Installation, Request
from proxy.desk import Desk
from proxy.forward.http1 import AnswerHead, Framing
from proxy.forward.watch import Ending
from proxy.govern.governor import Governor, Outside
from proxy.http.headers import Headers
from proxy.identify.hashing import key
from proxy.judge.lines import Terms
from proxy.judge.refusals import Asker
from proxy.judge.settings import PolicySettings
from proxy.ledger import Ledger
from proxy.meter.billed import BilledResponses
from proxy.meter.book import PriceBook
from proxy.meter.dialects import recognise
from proxy.meter.prices import PriceTable
from proxy.model import ANONYMOUS, Kind, Outcome
from proxy.recognition import Recognizer
from proxy.settling import Settler
from proxy.state.memory import MemoryState
from proxy.steady import SteadyClock

PATH = "/v1/chat/completions"
LOOPS, CHATS = 40, 600
_HEADERS = Headers([(b"authorization", b"Bearer sk-x"), (b"user-agent", b"OpenAI/Python 2.9")])  # fmt: skip
_HEAD = AnswerHead(200, b"OK", [(b"content-type", b"application/json")], 1, Framing.CHUNKED, None, keep_alive=True)  # fmt: skip
_USAGE = {"prompt_tokens": 5000, "completion_tokens": 60, "total_tokens": 5060, "prompt_tokens_details": {"cached_tokens": 4096}}  # fmt: skip


class Cost(msgspec.Struct, frozen=True):
    """What a call costs, in microseconds of processor time."""

    what: str
    """`chat 1.5 KB` or `step 20 KB`."""
    policies: str
    """A key of `SETTINGS`."""
    median_us: float
    """Of the whole call."""
    added_us: float
    """To one that nobody governs: the median of the pairs."""


def measure() -> list[Cost]:
    """Measure both sorts of calls under all settings."""
    gc.collect()
    gc.disable()
    try:
        return [*_costs("chat 1.5 KB", policies.chats(0, CHATS)), *_costs("step 20 KB", policies.steps(0, LOOPS))]  # fmt: skip
    finally:
        gc.enable()


def line_of(cost: Cost) -> str:
    """Give a cost as one line."""
    return f"  governing {cost.what:<12} {cost.policies:<9} {cost.median_us:8.1f} us cpu a call  (added {cost.added_us:+.1f})"


def _document(message: Any, number: int) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return msgspec.json.encode(
        {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1743774395, "model": "gpt-5-2025-08-07", "choices": [choice], "usage": _USAGE}
    )  # fmt: skip


def _costs(what: str, calls: Iterator[Call]) -> Iterator[Cost]:
    workers = {name: Inside(each) for name, each in SETTINGS.items()}
    took: dict[str, list[float]] = {name: [] for name in workers}
    names = list(workers)
    for number, call in enumerate(calls):
        answer = _document(call.answer, number)
        for name in names:
            took[name].append(workers[name].call(call.body, answer) / 1e3)
        names = [*names[1:], names[0]] if number % 2 else names[::-1]
    for name, each in took.items():
        added = [a - b for a, b in zip(each, took["none"], strict=True)]
        yield Cost(what, name, round(statistics.median(each), 1), round(statistics.median(added), 1))  # fmt: skip


class Inside:
    """What is within a worker, without sockets and files."""

    def __init__(self, given: dict[str, Any] | None) -> None:
        ids = count(1)
        home = Installation("i", "t", "", "", b"secret")
        self._new_id = lambda _: f"{next(ids):032x}"
        settler = Settler(PriceBook(PriceTable.load()), BilledResponses(20_000))
        state = MemoryState(10_000, 10**15)
        self._desk: Desk = desk_of(settler)
        self._governor = _governor(given, home.seed, settler, state)
        recognizer = Recognizer(home.seed, state, self._new_id)
        self._identifier = Identifier(home, recognizer, self._new_id, _nothing, _fail, governor=self._governor)  # fmt: skip
        self._dialect, operation = recognise(Kind.LLM, "openai_chat", "POST", PATH)
        self._operation = operation

    def call(self, body: bytes, answer: bytes) -> int:
        """Give the nanoseconds of processor time that one call takes."""
        inbox = SimpleNamespace(chunks=1, max_gap=0.0, last_at=2.0)
        connection: Any = SimpleNamespace(inbox=inbox, finished=True)
        began = process_time_ns()
        ask = self._dialect.read_request(self._operation, body)
        request = Request(
            _HEADERS, "POST", ANONYMOUS, "openai", "openai", PATH, b"", ask, 1, body=body, size=len(body),
            origin="https://api.openai.com", peer=("::1", 1),
        )  # fmt: skip
        opened, trail, _, tab = _done(self._identifier.identify(request, 1_790_000_000_000_000_000))  # fmt: skip
        ledger = Ledger(self._desk, opened, 0.0, ask, self._dialect, trail, tab)
        ledger.judge(_nobody)
        ledger.never_sent(None)  # writes what `open` does, and does not wait
        ledger.sent(len(body))
        ledger.answered(_HEAD, 1.0)
        ledger.passed(answer, connection)
        ledger.finish(Ending(Outcome.COMPLETED))
        took = process_time_ns() - began
        if not (ledger.exchange.closed and ledger.exchange.closed.usage_json):
            raise ValueError("the call was not metered")
        return took


def _governor(given: dict[str, Any] | None, seed: int, settler: Settler, state: MemoryState) -> Governor | None:  # fmt: skip
    if given is None:
        return None
    settings = msgspec.convert(given, PolicySettings)
    outside = Outside(
        SteadyClock().now_us, lambda: 1, settler.quote, _fail, _nothing, lambda: "e", _nothing, _nothing, _nothing, _nothing,
        settler.refuses_unpriced, _nothing,
    )  # fmt: skip
    terms = Terms(partial(key, seed), 10**15, 10**15)
    return Governor(settings, terms, seed, state, outside)


def _done(work: Any) -> Any:
    """Run a coroutine that waits for nothing."""
    try:
        while True:
            work.send(None)
    except StopIteration as ended:
        return ended.value


def _nobody() -> Asker:
    raise ValueError("a call was refused")


def _nothing(*_: object) -> None: ...


def _fail(phase: str) -> None:
    raise ValueError(f"a fault of {phase}")


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(line_of, measure())) + "\n")
