"""Lets agents work at the same time on one proxy's identification, in this process, and tells which calls it took for one run.

What lives here: time, connections, crashes of the proxy and of calls, the score. What does not: what agents do (`agents.py`), the
bytes (`families.py`, `replies.py`).
"""

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from itertools import combinations, count
from typing import Any, NamedTuple

from proxy.admission import Admitted, Identifier
from proxy.arriving import Installation, Request
from proxy.http.headers import Headers
from proxy.meter.dialect import Head
from proxy.meter.dialects import recognise
from proxy.model import ANONYMOUS, ErrorType, Kind, Outcome, Reading
from proxy.recognition import Recognizer
from proxy.record.codec import Memo, Open, decode
from proxy.state.memo import replay
from proxy.state.memory import MemoryState
from proxy.state.snapshot import pieces, restore
from tests.helpers.runs.wild.families import Family, Prompt
from tests.helpers.runs.wild.replies import reply
from tests.helpers.runs.wild.said import Answer, Habit

START_US = 1_790_000_000_000_000
IDLE_US = 1800 * 1_000_000


@dataclass
class Ask:
    """One request of an agent, and what it will be answered."""

    family: Family
    habit: Habit
    prompt: Prompt
    answer: Answer
    run: str
    """The truth; empty: to join it is no mistake, and not to join it none either."""
    crew: str
    """Runs of one crew: to join them is no mistake."""
    chain: str
    """The agent's own conversation."""
    step: str
    headers: list[tuple[str, str]]
    port: int
    latency: float
    number: int = 0
    kind: str = ""


class Rest(NamedTuple):
    seconds: float


class Fork(NamedTuple):
    """Another agent that begins now."""

    agent: "Work"


class Await(NamedTuple):
    """Go on when this holds."""

    ready: Callable[[], bool]


Work = Generator[Ask | Rest | Fork | Await, Any, None]


class Seen(NamedTuple):
    ask: Ask
    opened: Open


@dataclass
class World:
    """A proxy, and the agents that use it."""

    dice: random.Random
    crashes: bool = False
    many_callers: bool = False
    seen: list[Seen] = field(default_factory=list)
    identifier: Identifier = field(init=False)
    state: MemoryState = field(init=False)
    _ids: Any = field(default_factory=lambda: count(1))
    _order: Any = field(default_factory=count)
    _events: list[Any] = field(default_factory=list)
    _memos: list[bytes] = field(default_factory=list)
    _life: int = 0
    _open: dict[str, Admitted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begin_life()

    def _begin_life(self) -> None:
        def new_id(_: int) -> str:
            return f"{next(self._ids):032x}"

        def fail(phase: str) -> None:
            raise ValueError(f"a fault of {phase}")

        home = Installation("i", "t", "", "", b"secret")
        self.state = MemoryState(100_000, IDLE_US)
        recognizer = Recognizer(home.seed, self.state, new_id)
        self.identifier = Identifier(home, recognizer, new_id, lambda _: None, fail)
        self._life += 1

    def restart(self, saved: list[bytes]) -> None:
        """Die, and go on from a snapshot and what was written since."""
        self._begin_life()
        for piece in saved:
            restore(self.state, piece)
        for memo in self._memos:
            replay(self.state, memo)
        for admitted in self._open.values():
            lost = admitted.opened
            _driven(self.state.forsake(lost.tenant, lost.run_id, lost.step_id))
        self._open.clear()

    def run(self, works: list[Work], *, spread: float = 20.0) -> None:
        """Let them all work; each begins at a random moment."""
        for work in works:
            self._later(self.dice.random() * spread, work)
        saved: list[bytes] | None = None
        crash_in = self.dice.randint(300, 500) if self.crashes else 0
        while self._events:
            now, _, work, ended = heapq.heappop(self._events)
            calls = len(self.seen)
            self._go_on(now, work, None if ended is None else self._ended(now, *ended))
            if not self.crashes or calls == len(self.seen):
                continue
            if len(self.seen) % crash_in == crash_in // 2:
                saved, self._memos = list(pieces(self.state)), []
            if len(self.seen) % crash_in == 0 and saved is not None:
                self.restart(saved)

    def _later(self, at: float, work: Work, ended: Any = None) -> None:
        heapq.heappush(self._events, (at, next(self._order), work, ended))

    def _go_on(self, now: float, work: Work, value: Answer | None) -> None:
        try:
            said = work.send(value)
        except StopIteration:
            return
        if isinstance(said, Fork):
            for each in (said.agent, work):
                self._later(now + self.dice.random(), each)
        elif isinstance(said, Rest):
            self._later(now + said.seconds, work)
        elif isinstance(said, Await):
            self._later(now + 0.5, _awaiting(said, work))
        else:
            admitted = self._begun(said, now)
            self._later(now + said.latency, work, (said, admitted, self._life))

    def _begun(self, ask: Ask, now: float) -> Admitted:
        family, prompt = ask.family, ask.prompt
        body, path = family.body(prompt, ask.habit), family.target(prompt.stream)
        dialect, operation = recognise(Kind.LLM, "", "POST", path)
        read = dialect.read_request(operation, body)
        key = family.auth[1] + (ask.run[:6] if self.many_callers else "")
        headers = [(family.auth[0], key), ("user-agent", family.agent), *ask.headers]
        wire = Headers([(name.encode(), value.encode()) for name, value in headers])
        request = Request(wire, "POST", ANONYMOUS, family.route, family.route, path, b"", read, 1, body=body, peer=("10.0.0.1", ask.port))  # fmt: skip
        admitted: Admitted = _driven(self.identifier.identify(request, (START_US + int(now * 1e6)) * 1000))  # fmt: skip
        if admitted.trail is not None:
            self._remember(admitted.trail.begun)
            self._open[admitted.opened.attempt_id] = admitted
        self.seen.append(Seen(ask, admitted.opened))
        return admitted

    def _ended(self, now: float, ask: Ask, admitted: Admitted, life: int) -> Answer | None:  # fmt: skip
        """Tell the proxy what was answered, and give it to the agent; nothing where the proxy has died meanwhile."""
        if life != self._life:
            return None
        answer, prompt = ask.answer, ask.prompt
        reading, outcome, error = Reading(), Outcome.COMPLETED, ErrorType.NONE
        if answer.status == 200:
            path = ask.family.target(prompt.stream)
            dialect, operation = recognise(Kind.LLM, "", "POST", path)
            read = dialect.read_request(operation, ask.family.body(prompt, ask.habit))
            content_type, said = reply(ask.family.shape, answer, stream=prompt.stream)
            reader = dialect.reader(read, Head(200, content_type))
            reader.feed(said)
            reading = reader.reading()
            if reading.malformed or len(reading.tool_calls) != len(answer.calls):
                raise ValueError(f"{ask.family.name} was not read: {said!r}")
        elif answer.status == 429:
            outcome, error = Outcome.REJECTED, ErrorType.RATE_LIMITED
        elif answer.status == -1:
            outcome, error = Outcome.CLIENT_ABORT, ErrorType.CUT
        else:
            outcome, error = Outcome.UPSTREAM_ERROR, ErrorType.SERVER_ERROR
        if admitted.trail is not None:
            self._open.pop(admitted.opened.attempt_id, None)
            self._remember(admitted.trail.answered(outcome, error, reading, START_US + int(now * 1e6)))  # fmt: skip
        return answer

    def _remember(self, records: Any) -> None:
        for each in records:
            read = decode(each)
            if isinstance(read, Memo):
                self._memos.append(read.said)


def _driven(suspending: Coroutine[Any, Any, Any]) -> Any:
    """Run what suspends only to let others have their turn."""
    while True:
        try:
            suspending.send(None)
        except StopIteration as ended:
            return ended.value


def _awaiting(wait: Await, work: Work) -> Work:
    """Look again and again, then let it go on."""
    yield Rest(0.0)
    while not wait.ready():
        yield Rest(0.5)
    yield from work


@dataclass
class Score:
    """Pairs of calls that are one run, and were taken for one."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    chains_right: int = 0
    chains_missed: int = 0
    steps_wrong: int = 0
    calls: int = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0  # fmt: skip

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0  # fmt: skip

    @property
    def chain_recall(self) -> float:
        found = self.chains_right + self.chains_missed
        return self.chains_right / found if found else 1.0

    def add(self, other: "Score") -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def score(seen: list[Seen]) -> Score:
    """Compare what was found with the truth."""
    found = Score(calls=len(seen))
    for one, two in combinations(seen, 2):
        joined = one.opened.run_id == two.opened.run_id != ""
        if one.ask.run and one.ask.run == two.ask.run:
            found.right += joined
            found.missed += not joined
            if one.ask.chain == two.ask.chain:
                found.chains_right += joined
                found.chains_missed += not joined
            same_step = one.opened.step_id == two.opened.step_id
            found.steps_wrong += same_step != (one.ask.step == two.ask.step)
        elif joined and one.ask.crew != two.ask.crew:
            found.wrong += 1
    return found


def doubled(seen: list[Seen]) -> int:
    """Count calls at the same depth that were taken for one run: of runs that nothing tells apart, the most that can be asked."""
    places: dict[tuple[str, int], set[str]] = defaultdict(set)
    for ask, opened in seen:
        places[opened.run_id, ask.number].add(opened.step_id)
    return sum(len(steps) - 1 for steps in places.values())
