"""Families of samples: how counters travel from a process to whoever shows them.

What lives here: `Family` and `Sample`, and the merge of the families of several processes. What does not: counting
(`registry.py`), rendering.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

FamilyType = Literal["counter", "gauge", "histogram"]
Combine = Literal["sum", "max", "min"]
COMBINERS: dict[Combine, Callable[[float, float], float]] = {
    "sum": lambda a, b: a + b,
    "max": max,
    "min": min,
}
"""How values of equal labels become one."""


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One series at one moment."""

    labels: tuple[str, ...]
    """Values in the order of the family's `label_names`."""
    value: float
    """A counter's or gauge's value; a histogram's sum of observations."""
    buckets: tuple[int, ...] = ()
    """Histograms: observations up to each bound, cumulative, the last one (`+Inf`) being the count."""


class Family(msgspec.Struct, frozen=True, omit_defaults=True):
    """All series of one metric."""

    name: str
    """The full name, with `_total` for counters; a histogram's suffixes are the renderer's."""
    type: FamilyType
    help: str
    label_names: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    bounds: tuple[float, ...] = ()
    """Histograms: upper bounds without `+Inf`."""
    combine: Combine = "sum"
    """What several processes' values of equal labels make together."""


def merge(processes: Iterable[Sequence[Family]]) -> list[Family]:
    """Give the families of several processes as one list, in the order of first sight.

    A family whose type, labels or bounds differ from the first one of its name is left out: two versions cannot be added.
    """
    merged: dict[str, Family] = {}
    for families in processes:
        for family in families:
            first = merged.get(family.name)
            if first is None:
                merged[family.name] = family
            elif _shape(first) == _shape(family):
                merged[family.name] = _add(first, family)
    return list(merged.values())


def _shape(family: Family) -> tuple[str, tuple[str, ...], tuple[float, ...]]:
    return family.type, family.label_names, family.bounds


def _add(a: Family, b: Family) -> Family:
    combine = COMBINERS[a.combine]
    samples = {sample.labels: sample for sample in a.samples}
    for sample in b.samples:
        other = samples.get(sample.labels)
        if other is not None:
            sample = Sample(
                sample.labels,
                combine(other.value, sample.value),
                tuple(
                    x + y for x, y in zip(other.buckets, sample.buckets, strict=True)
                ),
            )
        samples[sample.labels] = sample
    return msgspec.structs.replace(a, samples=tuple(samples.values()))
