"""One proxy process: everything that the agent waits for, wired together.

What lives here: building the phases from the settings, the clock and the random numbers that they are given, start, reload,
drain. What does not: how a phase works. Run by the supervisor as `python -m proxy.worker --config PATH --name w0 --fd N`.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from proxy import log
from proxy.accept.ids import uuid7
from proxy.admission import Identifier
from proxy.allowance import PATH
from proxy.allowing import Allowing, Around
from proxy.asked import Asking
from proxy.bad_names import BadNames
from proxy.child import Child, run
from proxy.config import (  # fmt: skip
    Keys,
    Settings,
    ensure_data_dir,
    environment,
    load,
    read_keys,
    reloaded,
    worker_names,
)
from proxy.control import ControlServer, Probes, json_route, socket_path
from proxy.counting import Counting
from proxy.desk import Desk
from proxy.errors import SettingsError
from proxy.forward.connect import Connector
from proxy.forward.pool import Pool
from proxy.forward.server import DataPort
from proxy.govern.governor import Governor, Outside
from proxy.housekeeping import House, Housekeeping, absorb
from proxy.identify.prompts import Prompts
from proxy.meter.billed import BilledResponses
from proxy.outbound import Outbound
from proxy.pipeline import Pipeline
from proxy.preflight import require_c_parser
from proxy.pricing import find_book
from proxy.probing import Probing
from proxy.recognition import Recognizer
from proxy.record.codec import Close, Event, Open, encode
from proxy.record.spool import SpoolWriter
from proxy.recovery import Memory
from proxy.runs import RunBook
from proxy.settling import Settler
from proxy.state.memory import MemoryState
from proxy.steady import SteadyClock
from proxy.telemetry import ExchangeMeters, Registry, RunMeters
from proxy.wiring import (
    build_snapshot,
    egress_proxy,
    governor_of,
    installed,
    listener_tls,
    port_limits,
    run_state,
    spool_options,
)

_BILLED_RESPONSES = 20_000
_logger = logging.getLogger("tacho.worker")


class Worker:
    """A worker of the data path; `start`, then `stop` once."""

    def __init__(self, settings: Settings, name: str, sockets: list[socket.socket]) -> None:  # fmt: skip
        """Take listening sockets; the settings have been checked."""
        require_c_parser()
        self.settings = settings
        self.name = name
        self._sockets = sockets
        self._secrets = ensure_data_dir(settings)
        # Ids are unique, not secret; the system's generator would be a call that lets go of the interpreter for each.
        self._random = random.Random(secrets.randbits(256))
        self._incarnation = self._new_id(time.time_ns())
        self.telemetry = Registry(settings.limits.max_series)
        book = find_book(settings, _logger)
        self._meters = ExchangeMeters(self.telemetry, book.table.models())
        self._billed = BilledResponses(_BILLED_RESPONSES)
        self._settler = Settler(book, self._billed)
        run_meters = RunMeters(self.telemetry, self._meters)
        self._book = RunBook(run_meters, self._new_event_id)
        clock = SteadyClock().now_us
        self._counting = Counting(self._meters, self._book, clock)
        self._installation = installed(settings, self._secrets)
        self._runs = run_state(
            settings, self._installation.seed, self._book, lambda turned: self._governor.turned(turned),
            lambda key, phase: self._governor.met(key, phase),
        )  # fmt: skip
        self._governor = self._make_governor(clock)
        self._prompts = Prompts()
        own = self._runs if isinstance(self._runs, MemoryState) else None
        self._memory = Memory(self.telemetry, self._meters, self._billed, own, self._book, self._prompts, self._governor)  # fmt: skip
        root = Path(settings.data_dir) / "spool"
        absorb(self._memory, self._meters, root, self._is_ours, self._incarnation)
        self.spool = SpoolWriter(root, name, self._incarnation, spool_options(settings), now_us=lambda: time.time_ns() // 1000)  # fmt: skip
        self._connector = Connector(egress_proxy(settings), settings.ca_file)
        self._pool = Pool(self._connector, settings.timeouts.upstream_keepalive_seconds)
        self._identifier = self._make_identifier()
        self.pipeline = self._pipeline(read_keys(settings, environment()))
        self._housekeeping = self._make_housekeeping(root)
        self.port = DataPort(self.pipeline.handle, port_limits(settings), self._meters.drop)  # fmt: skip
        self.allowing = self._make_allowing()
        self._ticker: asyncio.Task[None] | None = None

    def _new_id(self, now_ns: int) -> str:
        return uuid7(now_ns, self._random.getrandbits(62))

    def _new_event_id(self) -> str:
        return self._new_id(time.time_ns())

    def _make_governor(self, clock: Callable[[], int]) -> Governor:
        counting, runs = self._counting, self._runs
        outside = Outside(
            lambda: runs.now_us(clock()), partial(self._random.getrandbits, 16), self._settler.quote,
            counting.fault, self._note, self._new_event_id, counting.verdict, counting.unsaid, counting.breaker,
            self._meters.note_breaker, self._settler.refuses_unpriced, counting.spent,
        )  # fmt: skip
        return governor_of(self.settings, self._installation.seed, self._runs, outside)

    def _make_allowing(self) -> Allowing:
        around = Around(
            self._runs, self.spool, self._installation.seed, self.settings.runs.idle_seconds, self._governor.now_us,
            time.time_ns, self._counting.allowed, self._counting.fault, self._new_event_id,
        )  # fmt: skip
        return Allowing(around)

    def _make_housekeeping(self, root: Path) -> Housekeeping:
        house = House(
            self.spool, self._pool, self._meters, self._memory, self._runs, self._book, self._governor, self._under_way, self._counting.fault
        )  # fmt: skip
        return Housekeeping(house, root, self._is_ours, self._incarnation)

    def _is_ours(self, worker: str) -> bool:
        """Tell whose records this worker takes over: its own, and the first one those of workers that there are no more."""
        names = worker_names(self.settings)
        return worker == self.name or (self.name == names[0] and worker not in names)

    def _make_identifier(self) -> Identifier:
        installation = self._installation
        identifier = Identifier(
            installation,
            Recognizer(installation.seed, self._runs, self._new_id),
            self._new_id,
            BadNames(self._meters.drop).count,
            self._counting.fault,
            self._prompts,
            governor=self._governor,
        )
        identifier.rename(self.settings.agents.rename)
        return identifier

    def _pipeline(self, keys: Keys) -> Pipeline:
        settings = self.settings
        desk = Desk(
            spool=self.spool,
            settler=self._settler,
            asking=Asking(
                self._installation.seed, self._counting.fault, self._meters.drop
            ),
            applied=self._counting.applied,
            under_way=self._counting.under_way,
            noted=self._counting.noted,
            judged=self._governor.announce,
            answer_judged=self._governor.announce_answer,
            fault=self._counting.fault,
            new_id=self._new_event_id,
            meter_buffer_bytes=settings.limits.meter_buffer_bytes,
            response_headers=settings.response_headers,
        )
        return Pipeline(
            build_snapshot(settings, keys, self._secrets),
            desk,
            self._identifier,
            self._pool,
            Outbound(self._connector),
            time.time_ns,
        )

    def _note(self, event: Event) -> None:
        """Count an event, and write it down."""
        self._counting.noted(event)
        self.spool.append(encode(event))

    async def start(self) -> None:
        """Begin to serve."""
        self.spool.start()
        await self._runs.open()
        await self._housekeeping.checkpoint()
        await self.port.listen(self._sockets, listener_tls(self.settings))
        self._ticker = asyncio.get_running_loop().create_task(
            self._housekeeping.run(), name="ticker"
        )

    async def stop(self) -> None:
        """Stop accepting, let calls end within the drain time, cut the rest, write everything down."""
        for sock in self._sockets:
            sock.close()  # like the copies that `drain` closes, so that a successor can have the port at once
        await self.port.drain(self.settings.timeouts.drain_seconds)
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        self._pool.close()
        await self._runs.close()
        await self._housekeeping.checkpoint()
        await asyncio.to_thread(self.spool.close)

    def reload(self, path: str | None) -> None:
        """Take new routes, client keys and prices, which requests under way do not see. A bad file changes nothing."""
        try:
            settings = reloaded(self.settings, load(path, environment()))
            keys = read_keys(settings, environment())
            snapshot = build_snapshot(settings, keys, self._secrets)
            book = find_book(settings, _logger, self._settler.book.table)
        except SettingsError as error:
            self._meters.note_reload(succeeded=False)
            _logger.error("reload_refused", extra={"detail": {"reason": str(error)}})
            return
        self.pipeline.snapshot, self._settler.book = snapshot, book
        self._meters.know(book.table.models())
        self._identifier.rename(settings.agents.rename)
        self._governor.use(settings.policies)
        self.settings = settings
        self._meters.note_reload(succeeded=True)

    def _under_way(self) -> Iterable[tuple[Open, Close | None]]:
        return [
            (ledger.exchange.opened, ledger.exchange.closed)
            for ledger in self.pipeline.under_way()
        ]

    def probes(self) -> Probes:
        """Give the answers for the control socket."""
        return Probing(
            self.spool, self._runs, self.port, self.telemetry, self._incarnation, lambda: self._ticker is not None,
            self._bring_up_to_date,
        ).probes()  # fmt: skip

    def _bring_up_to_date(self) -> None:
        self._housekeeping.note_losses()
        self._counting.show()


def main(arguments: list[str]) -> int:
    """Run a worker as a child of the supervisor."""
    parser = argparse.ArgumentParser(prog="python -m proxy.worker")
    parser.add_argument("--config", default="")
    parser.add_argument("--name", required=True)
    parser.add_argument("--fd", type=int, required=True)
    options = parser.parse_args(arguments)
    log.setup(options.name)

    async def serve(child: Child) -> None:
        settings = load(options.config or None, environment())
        listener = socket.socket(fileno=options.fd)
        worker = Worker(settings, options.name, [listener])
        await worker.start()
        control = ControlServer(
            socket_path(Path(settings.data_dir), options.name),
            worker.probes(),
            [json_route(PATH, worker.allowing.take)],
        )
        await control.start()
        child.on_reload(lambda: worker.reload(options.config or None))
        child.announce_ready()
        await child.stopping.wait()
        await worker.stop()
        await control.close()

    return run(options.name, serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
