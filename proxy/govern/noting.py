"""Which warnings a model is told of, and which it has been told of.

What lives here: the note of a call. What does not: its words (`judge/wording.py`), where it stands in the request (`meter/notes.py`).

Each warning is told once, so that a provider's cache of the conversation loses no more than one tool result: a run, policy and threshold,
anew where the run was allowed on, or for each turn. A retry of the step that had it has it again: the model may never have seen it.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator

from proxy.govern.announcing import every
from proxy.judge.verdict import Verdict
from proxy.record.codec import Open

_REMEMBERED = 16_384


class Noting:
    """Remembers what models have been told; one for a worker, bounded."""

    def __init__(self, capacity: int = _REMEMBERED) -> None:
        self._capacity = capacity
        self._told: OrderedDict[Hashable, str] = OrderedDict()

    def note(self, verdict: Verdict, opened: Open, allowance: int | None) -> str:
        """Give what the model of a call is to be told, in one line; nothing where it knows, or there is nothing."""
        due = [
            each.note
            for told, each in _notes(verdict, opened, allowance)
            if self._told.get(told, opened.step_id) == opened.step_id
        ]
        return f"[tachograph: {'; '.join(due)}]" if due else ""

    def noted(self, verdict: Verdict, opened: Open, allowance: int | None) -> None:
        """Remember that it was told."""
        for told, _ in _notes(verdict, opened, allowance):
            self._told.setdefault(told, opened.step_id)
        while len(self._told) > self._capacity:
            self._told.popitem(last=False)


def _notes(verdict: Verdict, opened: Open, allowance: int | None) -> Iterator[tuple[Hashable, Verdict]]:  # fmt: skip
    for each in every(verdict):
        if each.note:
            turn = opened.turn_seq if each.scope == "turn" else None
            yield (opened.tenant, opened.run_id, each.policy, each.reason, each.scope, each.threshold, turn, allowance), each  # fmt: skip
