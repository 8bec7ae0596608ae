"""What is known of a call's place among the others.

What lives here: the value, and what it says in a call's record. What does not: finding it (`recognition.py`).
"""

from dataclasses import dataclass

from msgspec.structs import replace

from proxy.identify.facts import Asked, Run
from proxy.model import Kind, RunSource
from proxy.record.codec import Open
from proxy.trail import Trail

BY_RUN = "run"
"""In `agent_source`: the call has the name of the run that it belongs to."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What is known of a call's place among the others."""

    source: RunSource
    run: Run | None = None
    """`None`: it belongs to no run that is known."""
    asked: Asked | None = None
    """As what the call is remembered; `None` where it is not."""
    session_id: str = ""
    turn_seq: int | None = None
    retry_layer: str = ""
    awaited: tuple[str, ...] = ()
    """The tools that the run was waiting for."""
    trail: Trail | None = None

    def placed(self, opened: Open) -> Open:
        """Say in a call's record where it belongs."""
        run, asked = self.run, self.asked
        if run is not None:
            opened = replace(
                opened,
                agent=opened.agent or run.agent,
                agent_source=opened.agent_source or (BY_RUN if run.agent else ""),
                root_run_id=run.root_run_id,
                parent_run_id=run.parent_run_id,
                run_id=run.run_id,
                turn_seq=self.turn_seq,
            )
        if asked is not None:
            opened = replace(
                opened,
                step_id=asked.step_id,
                step_seq=asked.step_seq or None,
                attempt=asked.attempt,
                retry_layer=self.retry_layer,
            )
        return replace(opened, session_id=self.session_id, run_source=self.source)


def named(tenant: str, run_id: str, kind: Kind) -> Recognised:
    """Say what a name that was given says by itself."""
    if run_id:
        return Recognised(RunSource.EXPLICIT, Run(tenant, run_id, run_id))
    return Recognised(RunSource.UNMATCHED if kind is Kind.LLM else RunSource.NONE)
