"""Counters, gauges and histograms with a cap on their number.

What lives here: the instruments, and `Registry`, which bounds them, gives them as families and carries them over a restart.
What does not: which metrics there are (`exchange.py`, `export.py`).

Counts are integers of the smallest unit (pico-dollars, microseconds) and become floats only as samples: a sum of a million
costs loses nothing. The cap counts series as a scrape sees them: a histogram's label set is its bounds + 3. A label set that
would pass the cap is counted under `other` in the family's open labels (tenant, model, ...), so that outcomes and types
stay right; a tenth of the cap is kept for these. When that is used up too, it is counted under `other` in all labels, for
which each family has its room from the start.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from proxy.errors import RecordError
from proxy.telemetry.family import COMBINERS, Combine, Family, FamilyType, Sample

OTHER = "other"
Labels = tuple[str, ...]


class _Saved(msgspec.Struct, frozen=True):
    """One family's counts in a snapshot."""

    name: str
    label_names: Labels
    bounds: tuple[float, ...]
    series: tuple[tuple[Labels, tuple[int, ...]], ...]


_MOST = 2**64 - 1
"""What MessagePack holds; sums of absurd numbers must not keep all others out of a snapshot."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[_Saved])


class Spec(msgspec.Struct, frozen=True):
    """What is fixed about a family."""

    name: str
    help: str
    label_names: Labels = ()
    open_labels: frozenset[str] = frozenset()
    """Labels whose values nobody can list beforehand; these become `other` first."""
    divisor: int = 1
    """Counts per unit of the metric's name."""
    bounds: tuple[float, ...] = ()
    combine: Combine = "sum"


class _Cells:
    """The label sets of one family and their counts: one integer, or bucket counts and the sum."""

    def __init__(self, registry: "Registry", spec: Spec) -> None:
        self.spec = spec
        self.cells: dict[Labels, list[int]] = {}
        self._registry = registry
        self.cost = len(spec.bounds) + 3 if spec.bounds else 1
        self._width = len(spec.bounds) + 2 if spec.bounds else 1

    def at(self, labels: Labels) -> list[int]:
        """Give the counts for `labels`, or for what the cap leaves of them."""
        cell = self.cells.get(labels)
        return self._admit(labels) if cell is None else cell

    def _admit(self, labels: Labels) -> list[int]:
        if len(labels) != len(self.spec.label_names):
            raise ValueError(
                f"{self.spec.name} has the labels {self.spec.label_names}, not {labels}"
            )
        if self._registry.admits(self.cost, reserve=False):
            return self._create(labels)
        self._registry.overflowed += 1
        masked = tuple(
            OTHER if name in self.spec.open_labels else value
            for name, value in zip(self.spec.label_names, labels, strict=True)
        )
        if masked in self.cells:
            return self.cells[masked]
        if self._registry.admits(self.cost, reserve=True):
            return self._create(masked)
        rest = (OTHER,) * len(labels)
        return self.cells[rest] if rest in self.cells else self._create(rest)

    def clear(self) -> None:
        """Forget all series, which leaves their room to others."""
        self._registry.series -= self.cost * len(self.cells)
        self.cells.clear()

    def _create(self, labels: Labels) -> list[int]:
        self._registry.series += self.cost
        cell = self.cells[labels] = [0] * self._width
        return cell


class Counter:
    """A number that only grows."""

    def __init__(self, cells: _Cells) -> None:
        self._cells = cells

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Add `amount` of the smallest unit; never negative."""
        if amount < 0:
            raise ValueError(f"{self._cells.spec.name} only grows")
        self._cells.at(labels)[0] += amount


class Gauge:
    """A number that is what it is now; not carried over a restart."""

    def __init__(self, cells: _Cells) -> None:
        self._cells = cells

    def set(self, labels: Labels, value: int) -> None:
        """Say the current value in the smallest unit."""
        self._cells.at(labels)[0] = value

    def add(self, labels: Labels, amount: int) -> None:
        """Change the current value."""
        self._cells.at(labels)[0] += amount

    def show(self, values: Iterable[tuple[Labels, int]]) -> None:
        """Say all that there is to say now: a series that is not among these is gone.

        What shares a series, since it is given twice or there are too many, is combined as the values of several processes are.
        """
        cells = self._cells
        cells.clear()
        combine = COMBINERS[cells.spec.combine]
        for labels, value in values:
            known = len(cells.cells)
            cell = cells.at(labels)
            is_first = len(cells.cells) > known
            cell[0] = value if is_first else int(combine(cell[0], value))


class Histogram:
    """Counts of observations by size."""

    def __init__(self, cells: _Cells) -> None:
        self._cells = cells
        self._bounds = [
            round(bound * cells.spec.divisor) for bound in cells.spec.bounds
        ]

    def observe(self, labels: Labels, value: int) -> None:
        """Count one observation, in the smallest unit."""
        cell = self._cells.at(labels)
        cell[bisect_left(self._bounds, value)] += 1
        cell[-1] += value


class Registry:
    """All families of one process, with one cap."""

    def __init__(self, max_series: int = 5_000) -> None:
        self._max_series = max_series
        self._families: dict[str, tuple[_Cells, FamilyType]] = {}
        self._last_resort = 0
        self.series = 0
        """Series as a scrape sees them."""
        self.overflowed = 0
        """Counts that went to `other` because of the cap."""

    def counter(self, spec: Spec) -> Counter:
        """Declare a counter; its name ends in `_total`."""
        return Counter(self._declare(spec, "counter"))

    def gauge(self, spec: Spec) -> Gauge:
        """Declare a gauge."""
        return Gauge(self._declare(spec, "gauge"))

    def histogram(self, spec: Spec) -> Histogram:
        """Declare a histogram; the spec has bounds."""
        return Histogram(self._declare(spec, "histogram"))

    def _declare(self, spec: Spec, kind: FamilyType) -> _Cells:
        if spec.name in self._families:
            raise ValueError(f"{spec.name} is declared twice")
        cells = _Cells(self, spec)
        self._families[spec.name] = (cells, kind)
        self._last_resort += cells.cost
        return cells

    def admits(self, cost: int, *, reserve: bool) -> bool:
        """Tell whether so many more series fit; the reserve is for those that stand for others."""
        limit = self._max_series - self._last_resort
        return self.series + cost <= (limit if reserve else limit - limit // 10)

    def families(self) -> list[Family]:
        """Give everything for a scrape."""
        return [_family(cells, kind) for cells, kind in self._families.values()]

    def snapshot(self) -> bytes:
        """Give all counters and histograms as MessagePack, to be restored by a successor."""
        return _encoder.encode(
            [
                _Saved(
                    cells.spec.name,
                    cells.spec.label_names,
                    cells.spec.bounds,
                    tuple(
                        (labels, tuple(min(each, _MOST) for each in cell))
                        for labels, cell in cells.cells.items()
                    ),
                )
                for cells, kind in self._families.values()
                if kind != "gauge"
            ]
        )

    def restore(self, snapshot: bytes) -> None:
        """Add a predecessor's counts to these; families that no longer exist or have changed are left out.

        Bytes that are no snapshot raise `RecordError`.
        """
        try:
            families = _decoder.decode(snapshot)
        except msgspec.DecodeError as error:
            raise RecordError(
                f"the counters of the last run cannot be read: {error}"
            ) from error
        for saved in families:
            cells, kind = self._families.get(saved.name, (None, "gauge"))
            if cells is None or kind == "gauge" or not _fits(saved, cells.spec):
                continue
            for labels, counts in saved.series:
                cell = cells.at(labels)
                cell[:] = [a + b for a, b in zip(cell, counts, strict=True)]


def _fits(saved: _Saved, spec: Spec) -> bool:
    """Tell whether the counts mean what this version means by them; a broken snapshot is left out, too."""
    width = len(spec.bounds) + 2 if spec.bounds else 1
    return (
        saved.label_names == spec.label_names
        and saved.bounds == spec.bounds
        and all(
            len(labels) == len(spec.label_names)
            and len(counts) == width
            and min(counts) >= 0
            for labels, counts in saved.series
        )
    )


def _family(cells: _Cells, kind: FamilyType) -> Family:
    spec = cells.spec
    samples = tuple(_sample(labels, cell, spec) for labels, cell in cells.cells.items())
    return Family(
        spec.name, kind, spec.help, spec.label_names, samples, spec.bounds, spec.combine
    )


def _sample(labels: Labels, cell: Sequence[int], spec: Spec) -> Sample:
    if not spec.bounds:
        return Sample(labels, cell[0] / spec.divisor)
    total, cumulative = 0, []
    for count in cell[:-1]:
        total += count
        cumulative.append(total)
    return Sample(labels, cell[-1] / spec.divisor, tuple(cumulative))
