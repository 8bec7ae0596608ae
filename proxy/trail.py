"""What a call leaves behind, so that the next one of its run, or its next attempt, is known by it.

What lives here: following one call from its admission to its answer, and telling both to who keeps the state
and, as memos, to the spool. What does not: which run it is (`recognition.py`), when an answer is over (`ledger.py`).
"""

from msgspec.structs import replace

from proxy.identify import changes, echo
from proxy.identify.conversation import TEXT_BYTES, written
from proxy.identify.facts import Run
from proxy.identify.items import Call, Item, answer_item
from proxy.identify.messages import canonical
from proxy.model import ErrorType, Outcome, Reading
from proxy.record.codec import Memo, encode
from proxy.state import State, memo

DONE = "done"
_STATES = {
    Outcome.COMPLETED: DONE,
    Outcome.BLOCKED: "blocked",
    Outcome.REJECTED: "rejected",
}
_WILL_PASS = frozenset({ErrorType.RATE_LIMITED, ErrorType.OVERLOADED})
"""A refusal for these reasons is no answer: the same request may be welcome later."""


def state_of(outcome: Outcome, error_type: ErrorType) -> str:
    """Say in the words of `Asked.state` how a call ended."""
    if outcome is Outcome.REJECTED and error_type in _WILL_PASS:
        return "failed"
    return _STATES.get(outcome, "failed")


class Trail:
    """Follows one call that is remembered."""

    def __init__(
        self,
        seed: int,
        state: State,
        call: changes.Call,
        run: Run,
        noted: list[changes.Change],
        body: bytes,
        *,
        begins: bool = True,
    ) -> None:
        """`run` is the run as the state gave it (without an id where the call belongs to none), `noted` what was remembered at admission.

        With `begins` off the run is known to begin with, and its admission has been told.
        """
        self._seed = seed
        self._state = state
        self._call = call
        self._run = run
        self._body = body if len(body) <= TEXT_BYTES else b""
        self._said = ""
        self.begun = self._memo(run, noted, begins=begins)
        """The record of the admission; what belongs to no run is not worth one, and is in the checkpoint alone."""

    def answered(
        self, outcome: Outcome, error_type: ErrorType, reading: Reading, now_us: int
    ) -> tuple[bytes, ...]:
        """Tell what the answer showed; give the record of it, none where that is known already or others keep it."""
        state = state_of(outcome, error_type)
        if state == self._said:
            return ()
        self._said = state
        tenant, run_id = self._run.tenant, self._run.run_id
        now_us = self._state.time(now_us)
        answer = changes.Answer()
        if run_id:
            answer = changes.Answer(self._item(reading), reading.response_id, self._echoes(reading, state))  # fmt: skip
        noted = changes.at_answer(self._seed, self._call, state, answer, now_us)
        self._state.note(tenant, run_id, noted, now_us)
        seen = Run(tenant, run_id, "", seen_us=now_us)
        return self._memo(seen, noted, begins=False)

    def again(self, now_us: int) -> "Trail":
        """Follow the next attempt of the same step, which the proxy makes: from now on it is what the agent will have seen."""
        asked = replace(self._call.asked, attempt=self._call.asked.attempt + 1, seen_us=now_us)  # fmt: skip
        noted: list[changes.Change] = list(changes.pushes(asked))
        tenant, run_id = self._run.tenant, self._run.run_id
        self._state.note(tenant, run_id, noted, now_us)
        run = Run(tenant, run_id, "", seen_us=now_us)
        call = replace(self._call, asked=asked)
        return Trail(self._seed, self._state, call, run, noted, self._body, begins=False)  # fmt: skip

    def _memo(
        self, run: Run, noted: list[changes.Change], *, begins: bool
    ) -> tuple[bytes, ...]:
        """Write down what the keeper of state would lose with this worker; what belongs to no run is not worth it."""
        if self._state.is_shared or not run.run_id:
            return ()
        return (encode(Memo(memo.written(run, noted, begins=begins))),)

    def _item(self, reading: Reading) -> Item | None:
        calls: list[Call] = [
            (each.id, each.name, canonical(each.arguments))
            for each in reading.tool_calls
        ]
        return answer_item(self._seed, reading.output_text, calls)

    def _echoes(self, reading: Reading, state: str) -> tuple[echo.Piece, ...]:
        if state != DONE or not self._body or not reading.output_text:
            return ()
        asked = written(self._body)
        return tuple(echo.of_answer(reading.output_text, asked, self._seed))
