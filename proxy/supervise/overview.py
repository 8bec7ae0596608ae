"""How the whole product fares, put together from its processes; and what is passed on to one of them.

What lives here: `Overview`, which answers health, readiness and status for the admin port and the control socket, and has a worker let runs go on. What does not:
serving those answers (`admin.py`, `control.py`), metrics (`metrics.py`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import msgspec

from proxy.allowance import PATH, Said, denied, read
from proxy.control import Json
from proxy.control_client import ControlClient, UnreachableError
from proxy.errors import TachoError
from proxy.supervise.children import ChildProcess
from proxy.supervise.metrics import MetricsOfAll
from proxy.supervise.processes import process_use
from proxy.supervise.spec import State

ASK_SECONDS = 1.0
ALLOW_SECONDS = 12.0
"""A worker waits for Redis twice, and for its disk."""
_NO_WORKER = "no worker runs here that could be told; see: tacho status, and ask where the proxy runs"


@dataclass(slots=True)
class Overview:
    """Answers for all processes. The service stands as long as one of its vital children does."""

    children: Sequence[ChildProcess]
    clients: Mapping[str, ControlClient]
    metrics: MetricsOfAll
    facts: Json = field(default_factory=dict)
    """What `/status` says beside: version, mode, addresses."""
    stopping: bool = False

    def degraded(self) -> list[str]:
        """Name the children that do not do their work, and the parts of the others' work that they name as failing."""
        return [name for child in self.children for name in _failing(child)]

    def health(self) -> tuple[bool, Json]:
        """Tell whether a restart of the whole could help: a dead exporter is no reason."""
        ok = any(map(_serves, self._vital())) or self.stopping
        degraded = self.degraded()
        word = "unhealthy" if not ok else "degraded" if degraded else "ok"
        return ok, {"status": word, "degraded": degraded}

    def ready(self) -> tuple[bool, Json]:
        """Tell whether traffic should be sent here."""
        runs = any(child.state is State.RUNNING for child in self._vital())
        ready = runs and not self.stopping
        return ready, {"ready": ready, "degraded": self.degraded()}

    async def status(self) -> Json:
        """Ask all children what they have to say, and put it together."""
        answers, totals = await asyncio.gather(
            asyncio.gather(*(self._ask(child) for child in self.children)),
            self.metrics.totals(),
        )
        processes = {
            child.name: _facts(child, said)
            for child, said in zip(self.children, answers, strict=True)
        }
        return {
            **self.facts,
            "status": "stopping" if self.stopping else self.health()[1]["status"],
            "degraded": self.degraded(),
            **totals,
            "processes": processes,
        }

    async def allow(self, body: bytes) -> Said:
        """Have a worker fulfil the wish that a run goes on; the next one is asked where one does not answer or can ask nobody itself."""
        try:
            wish = read(body)
        except TachoError as error:
            return denied(400, "bad_wish", str(error))
        wish = msgspec.structs.replace(wish, id=wish.id or uuid4().hex)
        said = denied(503, "no_worker", _NO_WORKER)
        for child in self._vital():
            if child.state is not State.RUNNING:
                continue
            try:
                said = await self.clients[child.name].exchange("POST", PATH, ALLOW_SECONDS, msgspec.to_builtins(wish))  # fmt: skip
            except UnreachableError:
                continue
            if said[0] != 503:
                break
        return said

    def _vital(self) -> list[ChildProcess]:
        return [child for child in self.children if child.spec.is_vital]

    async def _ask(self, child: ChildProcess) -> Json | None:
        if child.state is not State.RUNNING or not child.answers:
            return None
        try:
            return await self.clients[child.name].status(ASK_SECONDS)
        except UnreachableError:
            return None


def _serves(child: ChildProcess) -> bool:
    return child.state is State.RUNNING and child.healthy


def _failing(child: ChildProcess) -> list[str]:
    if not _serves(child):
        return [child.name]
    # What follows the colon may quote others; it is in `/status`.
    return [f"{child.name}: {each.partition(':')[0]}" for each in child.complaints]


def _facts(child: ChildProcess, said: Json | None) -> Json:
    use = None if child.pid is None else process_use(child.pid)
    return {
        "state": str(child.state),
        "healthy": child.healthy,
        "pid": child.pid,
        "restarts": child.restarts,
        "last_exit": child.last_exit or None,
        "since_seconds": round(child.since_seconds(), 3),
        "resident_bytes": None if use is None else use.resident_bytes,
        "cpu_seconds": None if use is None else round(use.cpu_seconds, 3),
        "says": said,
    }
