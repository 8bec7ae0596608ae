"""What a replay found of each run.

What lives here: sums of calls that were made and of those that would not have been. What does not: deciding which (`replayer.py`), words.
"""

from dataclasses import dataclass, field

from proxy.judge.verdict import Verdict
from proxy.model import Kind, Outcome
from proxy.replay.rows import Call


@dataclass(slots=True)
class Sums:
    """What calls came to."""

    calls: int = 0
    """Attempts."""
    steps: int = 0
    """Steps of a model; a retry is none."""
    tokens: int = 0
    pico: int = 0
    """Pico-dollars."""

    def add(self, call: Call) -> None:
        """Add a call; one that was refused when it was made came to nothing."""
        row = call.row
        if row.outcome == Outcome.BLOCKED:
            return
        self.calls += row.is_step
        self.steps += row.is_step and row.kind is Kind.LLM and row.attempt == 0
        self.tokens += call.tokens
        self.pico += call.pico

    def plus(self, more: "Sums") -> None:
        """Add sums."""
        self.calls += more.calls
        self.steps += more.steps
        self.tokens += more.tokens
        self.pico += more.pico


@dataclass(slots=True)
class Stop:
    """Where a run would have ended."""

    verdict: Verdict
    call: Call
    """The first one that would not have been made."""
    step: int
    """The number in its run of the step that would have been refused."""
    with_parent: str = ""
    """The run that had begun this one and been stopped before; empty: this one was stopped itself."""


@dataclass(slots=True)
class Tally:
    """One run, or all calls of a tenant that are in none."""

    tenant: str
    run: str
    agent: str = ""
    """Who made its first call that has a name."""
    agents: set[str] = field(default_factory=set)
    made: Sums = field(default_factory=Sums)
    """What was made, from the run's begin on, also before the time that is asked about."""
    window: Sums = field(default_factory=Sums)
    """All calls within the time that is asked about."""
    saved: Sums = field(default_factory=Sums)
    stop: Stop | None = None
    waits: int = 0
    """Calls that would have been asked to try again a moment later."""
    ended_refused: bool = False
    """Its last call was refused when it was made, so that nobody knows how it would have gone on."""
    refused: dict[str, Sums] = field(default_factory=dict)
    """Of calls in no run: those that would not have been made, by policy."""

    def see(self, call: Call, *, is_asked: bool) -> None:
        """Note a call that was recorded; `is_asked`: within the time that is asked about."""
        row = call.row
        if row.agent:
            self.agent = self.agent or row.agent
            self.agents.add(row.agent)
        if is_asked:
            self.window.add(call)
