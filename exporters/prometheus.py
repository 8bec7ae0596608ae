"""The exporter's own metrics: how far destinations are behind, and what enrichment and delivery had to leave out.

What lives here: families from the states of enricher, row log and deliveries. What does not: text exposition (the
supervisor renders), what agents did (the worker counts that).
"""

from collections.abc import Mapping

import msgspec

from proxy.telemetry import ExportMeters, Registry
from proxy.telemetry.family import Family
from proxy.telemetry.specs import DROPPED

_encoder = msgspec.msgpack.Encoder()


class Meters:
    """What this process shows; fed before each scrape from the states that are true anyway."""

    def __init__(self) -> None:
        self._registry = Registry()
        self._export = ExportMeters(self._registry)
        self._dropped = self._registry.counter(DROPPED)
        self._counted: dict[str, int] = {}

    def set_lag(self, destination: str, oldest_us: int, now_us: int) -> None:
        """Say when the oldest row that `destination` lacks was made; 0 when it lacks none."""
        self._export.set_lag(
            destination, max(0, now_us - oldest_us) if oldest_us else 0
        )

    def set_dropped(self, totals: Mapping[str, int]) -> None:
        """Say how much was left out so far, by reason; totals only grow."""
        for reason, total in totals.items():
            more = total - self._counted.get(reason, 0)
            if more > 0:
                self._dropped.add((reason,), more)
                self._counted[reason] = total

    def families(self) -> list[Family]:
        """Give everything for a scrape."""
        return self._registry.families()

    def encoded(self) -> bytes:
        """Give the same as the control socket sends it."""
        return _encoder.encode(self.families())
