"""One page of metrics for all processes.

What lives here: fetching the children's families, keeping the last ones of a child that does not answer, what the operating system
says of each process, and the text. What does not: counting (`proxy/telemetry/`), the HTTP around it (`admin.py`).
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from proxy.control_client import ControlClient, UnreachableError
from proxy.supervise.children import ChildProcess
from proxy.supervise.processes import ProcessUse, process_use
from proxy.supervise.spec import State
from proxy.telemetry import Family, Sample, merge

ASK_SECONDS = 0.8
"""A scrape takes less than a second, whatever hangs."""
_decoder = msgspec.msgpack.Decoder(list[Family])


class MetricsOfAll:
    """Merges the families of the supervisor and its children; a silent child's counters stay as they last were."""

    def __init__(
        self,
        children: Sequence[ChildProcess],
        clients: Mapping[str, ControlClient],
        reloaded: Callable[[], bool],
    ) -> None:
        self._children = children
        self._clients = clients
        self._reloaded = reloaded
        self._last: dict[str, list[Family]] = {}

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """Give the page and its content type: OpenMetrics for who accepts it, else the text format 0.0.4."""
        encode, content_type = choose_encoder(accept)
        return encode(_Collected(await self.families())), content_type

    async def totals(self) -> dict[str, Any]:
        """Give the few figures that `/status` shows."""
        found = {family.name: family.samples for family in await self.families()}

        def known(name: str) -> list[float]:
            return [sample.value for sample in found.get(name, ())]

        return {
            "inflight": sum(known("tacho_inflight")),
            "spool_bytes": sum(known("tacho_spool_bytes")),
            "export_lag_seconds": max(known("tacho_export_lag_seconds"), default=None),
            "dropped": {
                " ".join(s.labels): s.value
                for s in found.get("tacho_dropped_total", ())
            },
        }

    async def families(self) -> list[Family]:
        """Ask all children at once; bounded by `ASK_SECONDS`."""
        answers, own = await asyncio.gather(
            asyncio.gather(*(self._of(child) for child in self._children)),
            asyncio.to_thread(self._own),
        )
        return merge([own, *answers])

    def own_bytes(self) -> bytes:
        """Give the supervisor's own families as its control socket does."""
        return msgspec.msgpack.encode(self._own())

    async def _of(self, child: ChildProcess) -> list[Family]:
        if child.state in (State.RUNNING, State.STOPPING) and child.answers:
            try:
                fresh = _decoder.decode(
                    await self._clients[child.name].metrics(ASK_SECONDS)
                )
            except (UnreachableError, msgspec.DecodeError):
                pass
            else:
                self._last[child.name] = fresh
                return fresh
        return [
            family
            for family in self._last.get(child.name, ())
            if family.type != "gauge"
        ]

    def _own(self) -> list[Family]:
        uses = [("supervisor", process_use(os.getpid()))]
        uses += [
            (child.name, process_use(child.pid))
            for child in self._children
            if child.pid is not None
        ]
        known = [(name, use) for name, use in uses if use is not None]
        reload_help = (
            "1 where the last reload of the settings succeeded, or there was none."
        )
        return [
            Family("tacho_config_reload_success", "gauge", reload_help, (), (Sample((), float(self._reloaded())),), combine="min"),
            *_use_families(known),
            _per_process(
                "tacho_process_up", "gauge", "1 where the process runs.",
                ((child.name, float(child.state is State.RUNNING)) for child in self._children),
            ),
            _per_process(
                "tacho_process_restarts_total", "counter", "Times that the process was started again.",
                ((child.name, child.restarts) for child in self._children),
            ),
        ]  # fmt: skip


def _use_families(known: list[tuple[str, ProcessUse]]) -> list[Family]:
    return [
        _per_process(
            "tacho_process_cpu_seconds_total", "counter", "Processor time since the start of the process.",
            ((name, use.cpu_seconds) for name, use in known),
        ),
        _per_process(
            "tacho_process_resident_bytes", "gauge", "Memory that the process holds.",
            ((name, use.resident_bytes) for name, use in known),
        ),
        _per_process(
            "tacho_process_open_files", "gauge", "Files and sockets that the process has open.",
            ((name, use.open_files) for name, use in known),
        ),
    ]  # fmt: skip


def _per_process(
    name: str, kind: Any, text: str, values: Iterable[tuple[str, float]]
) -> Family:
    return Family(
        name,
        kind,
        text,
        ("process",),
        tuple(Sample((process,), value) for process, value in values),
    )


class _Collected:
    """What prometheus_client renders: anything with `collect`."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return [_metric(family) for family in self._families]


def _metric(family: Family) -> Metric:
    match family.type:
        case "counter":
            counter = CounterMetricFamily(
                family.name, family.help, labels=family.label_names
            )
            for sample in family.samples:
                counter.add_metric(sample.labels, sample.value)
            return counter
        case "gauge":
            gauge = GaugeMetricFamily(
                family.name, family.help, labels=family.label_names
            )
            for sample in family.samples:
                gauge.add_metric(sample.labels, sample.value)
            return gauge
        case "histogram":
            histogram = HistogramMetricFamily(
                family.name, family.help, labels=family.label_names
            )
            bounds = [*(str(float(bound)) for bound in family.bounds), "+Inf"]
            for sample in family.samples:
                buckets = list(zip(bounds, sample.buckets, strict=True))
                histogram.add_metric(sample.labels, buckets, sum_value=sample.value)
            return histogram
