"""A pipeline of the test's own on a data port: with a disk that fails, counters that raise, a dialect that raises.

What lives here: wiring as the worker does it, with everything that a test may want to replace as an argument. What does not: the
worker (`proxy.py`), an origin.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.admission import Identifier
from proxy.arriving import Installation
from proxy.asked import Asking
from proxy.config import Keys, Settings, ensure_data_dir
from proxy.desk import Desk
from proxy.forward.connect import Connector
from proxy.forward.pool import Pool
from proxy.meter.billed import BilledResponses
from proxy.meter.book import PriceBook
from proxy.meter.prices import PriceTable
from proxy.outbound import Outbound
from proxy.pipeline import Pipeline
from proxy.recognition import Recognizer
from proxy.record.batches import SpoolOptions
from proxy.record.codec import Close, End, Event, Open
from proxy.record.disk import Disk
from proxy.record.spool import SpoolWriter
from proxy.settling import Settler
from proxy.state import State
from proxy.state.memory import MemoryState
from proxy.wiring import build_snapshot, port_limits
from tests.helpers.port import Port, serving
from tests.helpers.spooled import FaultyDisk
from tests.helpers.wire import WAIT_SECONDS

INSTALLATION = Installation("here", "acme", "test", "", b"secret")
Ended = tuple[Open, Close, End]


@dataclass
class Told:
    """What the desk was told."""

    applied: list[Ended] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    notes: list[Event] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)


def make_settler(book: PriceBook | None = None, capacity: int = 100) -> Settler:
    return Settler(book or PriceBook(PriceTable.load()), BilledResponses(capacity))


def make_spool(
    root: Path, disk: Disk | None = None, wait_ms: int = 60_000
) -> SpoolWriter:
    """Start a spool writer of a new incarnation."""
    spool = SpoolWriter(
        root,
        "w0",
        uuid.uuid4().hex,
        SpoolOptions(wait_ms=wait_ms),
        now_us=lambda: 0,
        disk=disk,
    )
    spool.start()
    return spool


def make_desk(spool: SpoolWriter, told: Told, **changes: Any) -> Desk:
    """Give a desk that keeps what it is told; `changes` replace its parts."""

    def count(route: str, change: int) -> None:
        told.under_way[route] += change

    def fault(phase: str) -> None:
        told.faults[phase] += 1

    parts: dict[str, Any] = {
        "spool": spool,
        "settler": make_settler(),
        "asking": Asking(INSTALLATION.seed, fault, lambda *_: None),
        "applied": lambda *ended: told.applied.append(ended),
        "under_way": count,
        "noted": told.notes.append,
        "judged": lambda *_: None,
        "answer_judged": lambda *_: None,
        "fault": fault,
        "new_id": lambda: uuid.uuid4().hex,
        "meter_buffer_bytes": 1 << 20,
        "response_headers": False,
    }
    return Desk(**{**parts, **changes})


def make_identifier(told: Told, state: State | None = None) -> Identifier:
    """Give an identifier with a memory of its own."""

    def fault(phase: str) -> None:
        told.faults[phase] += 1

    def new_id(_: int) -> str:
        return uuid.uuid4().hex

    state = MemoryState(100, 10**12) if state is None else state
    recognizer = Recognizer(INSTALLATION.seed, state, new_id)
    return Identifier(INSTALLATION, recognizer, new_id, lambda _: None, fault)


@dataclass
class Piped:
    """A pipeline that serves, and what its desk was told."""

    port: Port
    pipeline: Pipeline
    spool: SpoolWriter
    told: Told


@asynccontextmanager
async def piped(
    settings: Settings, disk: Disk | None = None, wait_ms: int = 60_000, **desk: Any
) -> AsyncIterator[Piped]:
    """Serve the settings' routes; leaving drains without patience and closes the spool."""
    secrets = ensure_data_dir(settings)
    told = Told()
    spool = make_spool(Path(settings.data_dir) / "spool", disk, wait_ms)
    connector = Connector()
    pool = Pool(connector, 60.0)
    pipeline = Pipeline(
        build_snapshot(settings, Keys({}, {}), secrets),
        make_desk(spool, told, **desk),
        make_identifier(told),
        pool,
        Outbound(connector),
        time.time_ns,
    )
    limits = {
        name: getattr(port_limits(settings), name)
        for name in port_limits(settings).__dataclass_fields__
    }
    async with serving(pipeline.handle, **limits) as port:
        yield Piped(port, pipeline, spool, told)
    pool.close()
    spool.close()


class SlowDisk(FaultyDisk):
    """Writes wait until `go` is set; `entered` says that one waits."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.entered = threading.Event()

    def write(self, fd: int, data: bytes) -> int:
        self.entered.set()
        assert self.go.wait(WAIT_SECONDS)
        return super().write(fd, data)
