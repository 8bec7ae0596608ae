"""The nouns of Tachograph.

What lives here: frozen values that the phases hand to each other, and the closed sets of words that rows, metrics and
dashboards use. What does not: I/O, clocks, settings, behaviour of one phase. Names and value sets are those of the
table `steps`; see `exporters/clickhouse/schema.py`.
"""

from proxy.model.client import ANONYMOUS, Client, is_id
from proxy.model.exchange import Ask, PartReading, RateLimits, Reading, ToolCall
from proxy.model.tokens import PICO_PER_USD, Cost, Usage
from proxy.model.words import (
    CostSource,
    ErrorType,
    Kind,
    Outcome,
    RunOutcome,
    RunSource,
    UsageSource,
)

__all__ = [
    "ANONYMOUS",
    "PICO_PER_USD",
    "Ask",
    "Client",
    "Cost",
    "CostSource",
    "ErrorType",
    "Kind",
    "Outcome",
    "PartReading",
    "RateLimits",
    "Reading",
    "RunOutcome",
    "RunSource",
    "ToolCall",
    "Usage",
    "UsageSource",
    "is_id",
]
