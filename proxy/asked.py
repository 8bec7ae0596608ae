"""The tool calls of an answer, as its row tells them, and as a policy judges them.

What lives here: putting together what a call is named by, the hash of its arguments and what is wrong with it, and that a fault in this costs
nothing else. What does not: checking (`judge/call_checks.py`), ids (`identify/call_ids.py`), reading an answer (`meter/`), what a verdict leads
to (`vetting.py`).
"""

from collections.abc import Callable

import msgspec

from proxy.identify.call_ids import call_ids
from proxy.identify.hashing import digest
from proxy.identify.messages import canonical
from proxy.judge.call_checks import Checked, Checker, Problem
from proxy.judge.tool_call_settings import ToolCallSettings
from proxy.judge.tool_calls import verdict
from proxy.judge.verdict import Verdict
from proxy.model import Reading
from proxy.record.codec import AskedCall

UNCHECKED = "unchecked_call"
"""In `tacho_dropped_total`: arguments were not held against their schema; it is not understood, or that would take too long."""

UNHELD = "unheld_call"
"""There, too: an answer that the settings would stop went on; it was too long to be held, or in a form that cannot be."""


class Found(msgspec.Struct, frozen=True):
    """The calls of one answer."""

    calls: tuple[AskedCall, ...] = ()
    checked: tuple[Checked, ...] = ()
    """Aligned with `calls`."""
    offered: tuple[str, ...] = ()
    """The tools of the request, where a call is of none of them."""

    def verdict(self, settings: ToolCallSettings) -> Verdict | None:
        """Say what is done about the answer; `None` for one that passes."""
        tools = [each.tool for each in self.calls]
        return verdict(settings, tools, self.checked, self.offered)


NONE_FOUND = Found()


class Asking:
    """Tells of the calls of answers; one for a worker."""

    def __init__(
        self,
        seed: int,
        fault: Callable[[str], None],
        dropped: Callable[[str, int], None],
    ) -> None:
        """`seed` keys all hashes; `fault` is told of each fault of ours, `dropped` of how many calls the arguments could not be checked."""
        self._seed = seed
        self._fault = fault
        self._dropped = dropped
        self._checker = Checker(seed)

    def look(self, body: Callable[[], bytes | None], reading: Reading) -> Found:
        """Give the calls of an answer; `body` gives its request, `None` where that was not read, and is called only if there are calls."""
        if not reading.tool_calls:
            return NONE_FOUND
        try:
            return self._told(body(), reading)
        except Exception:  # noqa: BLE001  # the guard of the phase judge
            self._fault("judge")
            return NONE_FOUND

    def _told(self, body: bytes | None, reading: Reading) -> Found:
        checked = self._checker.check(body, reading)
        unchecked = sum(each.is_unchecked for each in checked)
        if unchecked:
            self._dropped(UNCHECKED, unchecked)
        written = [canonical(each.arguments) for each in reading.tool_calls]
        named = [(each.id, each.name) for each in reading.tool_calls]
        ids = call_ids(self._seed, named, written)
        calls = tuple(
            AskedCall(call_id, name, digest(self._seed, arguments), found.problem.value)
            for call_id, (_, name), arguments, found in zip(
                ids, named, written, checked, strict=True
            )
        )
        is_unknown = any(each.problem is Problem.UNKNOWN_TOOL for each in checked)
        offers = self._checker.offers(body) if is_unknown else None
        return Found(calls, checked, tuple(offers.tools) if offers else ())

    def unheld(self) -> None:
        """Count an answer whose bad calls could not be kept from the agent."""
        self._dropped(UNHELD, 1)
