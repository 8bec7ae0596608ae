"""What a worker says of itself on its control socket.

What lives here: its health, metrics and status. What does not: serving them (`control.py`), putting all processes together (`supervise/`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.control import Probes
from proxy.forward.server import DataPort
from proxy.record.spool import SpoolWriter
from proxy.state import State
from proxy.telemetry import Registry


@dataclass(frozen=True, slots=True)
class Probing:
    """Answers for one worker."""

    spool: SpoolWriter
    state: State
    port: DataPort
    telemetry: Registry
    incarnation: str
    is_ready: Callable[[], bool]
    note_losses: Callable[[], None]
    """Brings the counters up to date."""

    def probes(self) -> Probes:
        """Give the answers."""
        return Probes(self.health, self.is_ready, self._metrics, self.status)

    def _metrics(self) -> bytes:
        self.note_losses()
        return msgspec.msgpack.encode(self.telemetry.families())

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Name what of its work fails; it is healthy as long as it answers."""
        troubles = {"spool": self.spool.trouble, "state": self.state.trouble}
        return True, {"degraded": [f"{name}: {each}" for name, each in troubles.items() if each]}  # fmt: skip

    def status(self) -> dict[str, Any]:
        """Say what people may want to know."""
        return {
            "inflight": self.port.inflight,
            "spool_bytes": self.spool.bytes_total(),
            "spool_trouble": self.spool.trouble,
            "dropped": self.spool.dropped,
            "state_trouble": self.state.trouble,
            "state_losses": self.state.losses(),
            "incarnation": self.incarnation,
        }
