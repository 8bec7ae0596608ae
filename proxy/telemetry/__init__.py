"""The product's own counters: plain integers in the hot path, read as families at scrape time.

What lives here: `Registry` and its instruments (`registry.py`), `Family`, in which counters travel between processes
(`family.py`), what a proxy worker counts of calls (`exchange.py`) and runs (`runs.py`), and what the exporter counts (`export.py`). What does not: text
exposition (the supervisor renders), rows.
"""

from proxy.telemetry.exchange import ExchangeMeters
from proxy.telemetry.export import ExportMeters
from proxy.telemetry.family import Family, Sample, merge
from proxy.telemetry.registry import Counter, Gauge, Histogram, Registry
from proxy.telemetry.runs import RunMeters

__all__ = [
    "Counter",
    "ExchangeMeters",
    "ExportMeters",
    "Family",
    "Gauge",
    "Histogram",
    "Registry",
    "RunMeters",
    "Sample",
    "merge",
]
