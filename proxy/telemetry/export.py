"""What the exporter process says of its own work. What does not live here: what enrichment counts."""

from proxy.telemetry.registry import Registry, Spec

_MICROS = 1_000_000


class ExportMeters:
    """How far the destinations are behind."""

    def __init__(self, registry: Registry) -> None:
        self._lag = registry.gauge(
            Spec(
                "tacho_export_lag_seconds",
                "Age of the oldest row that this destination does not have.",
                ("exporter",),
                divisor=_MICROS,
                combine="max",
            )
        )
        self._oldest = registry.gauge(
            Spec(
                "tacho_oldest_unexported_seconds",
                "Age of the oldest row that some destination does not have.",
                divisor=_MICROS,
                combine="max",
            )
        )
        self._lags: dict[str, int] = {}
        self._oldest.set((), 0)

    def set_lag(self, exporter: str, lag_us: int) -> None:
        """Say the age of the oldest row that waits for `exporter`; 0 when none does."""
        self._lags[exporter] = lag_us
        self._lag.set((exporter,), lag_us)
        self._oldest.set((), max(self._lags.values()))
