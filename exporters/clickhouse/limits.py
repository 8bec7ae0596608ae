"""What one query of the embedded store may cost.

What lives here: the limits, and how a client's own are read against them. What does not: applying them (`engine.py`), watching what
the engine does not charge to a query (`watch.py`).
"""

from collections.abc import Mapping

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """What one query may cost; a client can only lower these."""

    query_seconds: float = 60.0
    result_bytes: int = 128 << 20
    """Of a result, both as columns and as it is written: constants and long names grow when they are written."""
    memory_bytes: int = 1 << 30
    query_size_bytes: int = 1 << 20

    def apply(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Give the settings of a query: what the client wants, capped."""
        capped = {
            name: lower(wanted.get(name, ""), cap) for name, cap in self._caps().items()
        }
        return {"result_overflow_mode": "throw", **wanted, **capped}

    def lifted(self, wanted: Mapping[str, str]) -> str:
        """Give the name of a limit that a statement's own SETTINGS would lift; empty for none."""
        for name, cap in self._caps().items():
            if name in wanted and lower(wanted[name], cap) == lower("", cap):
                return name
        return ""

    def _caps(self) -> dict[str, float]:
        return {
            "max_execution_time": self.query_seconds,
            "max_result_bytes": self.result_bytes,
            "max_memory_usage": self.memory_bytes,
            "max_query_size": self.query_size_bytes,
        }


def lower(wanted: str, cap: float) -> str:
    """Give the wanted limit where it is one that is lower than ours and not 0, which means none."""
    try:
        value = float(wanted)
    except ValueError:
        value = 0.0
    return f"{value if 0 < value < cap else cap:.15g}"
