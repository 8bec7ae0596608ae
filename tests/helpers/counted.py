"""What a worker has counted, as a test sees it.

What lives here: one family of its registry as a dictionary. What does not: the names of families (`proxy/telemetry/specs.py`).
"""

from proxy.telemetry import Registry
from proxy.worker import Worker

Counts = dict[tuple[str, ...], float]


def counted(registry: Registry, name: str) -> Counts:
    """Give a family's values by label values; series that are zero are left out."""
    family = next(each for each in registry.families() if each.name == name)
    return {
        sample.labels: sample.buckets[-1] if sample.buckets else sample.value
        for sample in family.samples
        if sample.value or sample.buckets
    }


def attempts(worker: Worker | None) -> Counts:
    """Give the attempts by (route, outcome)."""
    assert worker is not None
    totals: Counts = {}
    for labels, value in counted(worker.telemetry, "tacho_attempts_total").items():
        _, _, route, _, _, outcome = labels
        totals[route, outcome] = totals.get((route, outcome), 0) + value
    return totals


def dropped(worker: Worker | None) -> dict[str, float]:
    """Give what was lost or left out, by reason."""
    assert worker is not None
    found = counted(worker.telemetry, "tacho_dropped_total")
    return {reason: value for (reason,), value in found.items()}
