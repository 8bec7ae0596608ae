"""The tool calls of an answer, as its row tells them.

What lives here: putting together what a call is named by, the hash of its arguments and what is wrong with it, and that a fault in this costs
nothing else. What does not: checking (`judge/call_checks.py`), ids (`identify/call_ids.py`), reading an answer (`meter/`).
"""

from collections.abc import Callable

from proxy.identify.call_ids import call_ids
from proxy.identify.hashing import digest
from proxy.identify.messages import canonical
from proxy.judge.call_checks import Checker
from proxy.model import Reading
from proxy.record.codec import AskedCall

UNCHECKED = "unchecked_call"
"""In `tacho_dropped_total`: arguments were not held against their schema; it is not understood, or that would take too long."""


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

    def calls(
        self, body: Callable[[], bytes | None], reading: Reading
    ) -> tuple[AskedCall, ...]:
        """Give the calls of an answer; `body` gives its request, `None` where that was not read, and is called only if there are calls."""
        if not reading.tool_calls:
            return ()
        try:
            return self._told(body(), reading)
        except Exception:  # noqa: BLE001  # the guard of the phase judge
            self._fault("judge")
            return ()

    def _told(self, body: bytes | None, reading: Reading) -> tuple[AskedCall, ...]:
        checked = self._checker.check(body, reading)
        unchecked = sum(each.is_unchecked for each in checked)
        if unchecked:
            self._dropped(UNCHECKED, unchecked)
        written = [canonical(each.arguments) for each in reading.tool_calls]
        named = [(each.id, each.name) for each in reading.tool_calls]
        ids = call_ids(self._seed, named, written)
        return tuple(
            AskedCall(call_id, name, digest(self._seed, arguments), found.problem.value)
            for call_id, (_, name), arguments, found in zip(
                ids, named, written, checked, strict=True
            )
        )
