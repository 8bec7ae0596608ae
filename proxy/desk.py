"""What all ledgers of a worker share: where they write, who prices, who counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

from proxy.asked import Asking
from proxy.govern.tab import Tab
from proxy.judge.verdict import Verdict
from proxy.record.codec import Close, End, Event, Open
from proxy.record.spool import SpoolWriter
from proxy.settling import Settler

P = ParamSpec("P")


@dataclass(slots=True, frozen=True)
class Desk:
    """What all ledgers of a worker share."""

    spool: SpoolWriter
    settler: Settler
    asking: Asking
    applied: Callable[[Open, Close, End], None]
    """Told of each exchange that is over (counters)."""
    under_way: Callable[[str, int], None]
    """Told of a route's calls under way: one more, one less."""
    noted: Callable[[Event], None]
    """Told of each event, before it is written."""
    judged: Callable[[Tab, Open], None]
    """Told of each call of which the policies have something to say."""
    answer_judged: Callable[[Verdict, Open], None]
    """Told of each answer of whose calls a policy has something to say."""
    fault: Callable[[str], None]
    """Told of each fault of ours, with the phase's name."""
    new_id: Callable[[], str]
    meter_buffer_bytes: int
    response_headers: bool

    def tell(self, counter: Callable[P, None], *what: P.args, **more: P.kwargs) -> None:
        """Count; a fault of it is counted and costs only that number."""
        try:
            counter(*what, **more)
        except Exception:  # noqa: BLE001  # the guard of the phase record
            self.fault("record")
