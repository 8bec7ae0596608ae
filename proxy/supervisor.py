"""The parent process: `tacho up`, `tacho proxy` and `tacho export`.

What lives here: `Supervisor`, the order of things: what is taken, started, reloaded and stopped when. What does not: each of these
things (`supervise/`), the data path (`worker.py`). It holds the data port's one listening socket, which all workers get, so that
connections queue while a killed worker is replaced, and accepts none itself.
"""

import asyncio
import contextlib
import logging
import random
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from proxy.allowance import PATH
from proxy.config import (
    Address,
    built_in_routes,
    ensure_data_dir,
    parse_address,
    reloadable,
    reloaded,
    worker_names,
)
from proxy.control import ControlServer, Probes, json_route, socket_path
from proxy.control_client import ControlClient, UnreachableError
from proxy.errors import SettingsError, StartError
from proxy.preflight import few_files_warning, raise_file_limit
from proxy.supervise.admin import AdminServer, Answers, Guard
from proxy.supervise.backoff import Backoff
from proxy.supervise.banner import STOPPED, Banner, stopping
from proxy.supervise.children import ChildProcess, first_ready
from proxy.supervise.listeners import (
    DataDirLock,
    bind,
    bound_address,
    reachable,
)
from proxy.supervise.metrics import MetricsOfAll
from proxy.supervise.overview import Overview
from proxy.supervise.plan import Mode, Order
from proxy.supervise.spec import ChildSpec

PREDECESSOR_SECONDS = 5.0
"""How long the port of a killed supervisor may stay busy: its worker closes it once it sees the death."""
HURRY_SECONDS = 1.0
logger = logging.getLogger("tacho.supervisor")


class Supervisor:
    """Runs the children of an `Order` until it is told to stop; `run` gives the exit status."""

    def __init__(
        self,
        order: Order,
        say: Callable[[Banner], None],
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`say` is given what there is to say once it serves, `tell` a line when it stops."""
        self._order = order
        self._settings = order.settings
        self._say = say
        self._tell = tell
        self._has_served = False
        self._data_dir = Path(order.settings.data_dir).absolute()
        self._stop_asked = asyncio.Event()
        self._hurry_asked = asyncio.Event()
        self._failure: StartError | None = None
        self._exit_status = 0
        self._reloaded = True
        self._data_port: socket.socket | None = None
        self._children: list[ChildProcess] = []

    async def run(self) -> int:
        """Take ports and locks (`StartError`, `SettingsError`), start all, serve, and stop all in order."""
        async with contextlib.AsyncExitStack() as taken:
            overview = await self._take(taken)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
            loop.add_signal_handler(signal.SIGHUP, self.reload)
            async with asyncio.TaskGroup() as tasks:
                starting = tasks.create_task(self._start(tasks, overview), name="start")
                await self._stop_asked.wait()
                starting.cancel()
                overview.stopping = True
                await self._stop(overview.metrics)
        if self._has_served:
            self._tell(STOPPED)
        if self._failure is not None:
            raise self._failure
        return self._exit_status

    def stop(self) -> None:
        """Drain and end; when called again, at once."""
        if self._stop_asked.is_set():
            self._hurry_asked.set()
        self._stop_asked.set()

    def reload(self) -> None:
        """Read the settings again, and pass the word on if they are good."""
        try:
            fresh = self._order.reload()
            settings = reloaded(self._settings, fresh)
            self._order.in_force.write(settings)
        except (SettingsError, StartError) as error:
            self._reloaded = False
            detail = {"why": str(error), "in_force": "the settings of before"}
            logger.error("reload_failed", extra={"detail": detail})
            return
        self._reloaded = True
        late = reloadable(self._settings, fresh)
        self._settings = settings
        logger.info(
            "reloaded",
            extra={"detail": {"needs_restart": ", ".join(late)} if late else {}},
        )
        for child in self._children:
            child.reload()

    async def _take(self, taken: contextlib.AsyncExitStack) -> Overview:
        """Take everything that a second instance could hold, before any child starts."""
        order, settings = self._order, self._settings
        guard = Guard(parse_address(settings.admin.listen), settings.admin.token)
        ensure_data_dir(settings)
        taken.callback(DataDirLock(self._data_dir, order.mode.halves).close)
        order.in_force.write(settings)
        taken.callback(order.in_force.remove)
        data_address = None
        if order.mode is not Mode.EXPORT:
            wanted = parse_address(settings.listen)
            self._data_port = await self._bind(wanted)
            taken.callback(self._data_port.close)
            data_address = bound_address(self._data_port, wanted)
        admin_port = bind(guard.address, "admin.listen")
        taken.callback(admin_port.close)
        if warning := few_files_warning(raise_file_limit()):
            logger.warning("few_files", extra={"detail": {"why": warning}})
        overview = self._assemble(
            data_address, bound_address(admin_port, guard.address)
        )
        await self._answer(taken, overview, admin_port, guard)
        return overview

    async def _answer(
        self, taken: contextlib.AsyncExitStack, overview: Overview, admin_port: socket.socket, guard: Guard
    ) -> None:  # fmt: skip
        """Answer on the control socket and on the admin port."""
        metrics = overview.metrics
        path = socket_path(self._data_dir, self._order.mode.socket_name)
        probes = Probes(overview.health, lambda: overview.ready()[0], metrics.own_bytes, overview.status)  # fmt: skip
        control = ControlServer(path, probes, [json_route(PATH, overview.allow)])
        await control.start()
        taken.push_async_callback(control.close)
        answers = Answers(overview.health, overview.ready, overview.status, metrics.exposition, overview.allow)  # fmt: skip
        admin = AdminServer(admin_port, guard, answers)
        await admin.start()
        taken.push_async_callback(admin.close)

    async def _bind(self, address: Address) -> socket.socket:
        """Bind the data port; wait where workers of a killed predecessor still hold it."""
        orphans = [
            ControlClient(self._data_dir, name) for name in worker_names(self._settings)
        ]
        deadline = asyncio.get_running_loop().time() + PREDECESSOR_SECONDS
        while True:
            try:
                return bind(address, "listen")
            except StartError:
                if not any(await asyncio.gather(*map(_lives, orphans))):
                    return bind(address, "listen")
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(0.05)

    def _assemble(self, data: Address | None, admin: Address) -> Overview:
        specs = self._order.children(
            None if self._data_port is None else self._data_port.fileno()
        )
        clients = {
            spec.name: ControlClient(self._data_dir, spec.name) for spec in specs
        }
        self._children = [
            ChildProcess(
                spec,
                self._order.environ,
                clients[spec.name],
                _backoff(spec),
            )
            for spec in specs
        ]
        metrics = MetricsOfAll(self._children, clients, lambda: self._reloaded)
        scheme = "http" if self._settings.listen_tls is None else "https"
        facts = {
            "version": self._order.version,
            "mode": str(self._order.mode),
            "data_dir": str(self._data_dir),
            "listen": None if data is None else f"{scheme}://{reachable(data)}",
            "admin": f"http://{reachable(admin)}",
        }
        return Overview(self._children, clients, metrics, facts)

    async def _start(self, tasks: asyncio.TaskGroup, overview: Overview) -> None:
        """Start the workers first, so that traffic flows at once; the rest when these are ready."""
        vital, others = self._sorted()
        for child in vital:
            tasks.create_task(child.run(), name=f"child-{child.name}")
        for child in vital if self._data_port is not None else ():
            try:
                await first_ready(child)
            except StartError as error:
                self._give_up(child, error)
                return
        for child in others:
            tasks.create_task(child.run(), name=f"child-{child.name}")
        self._say(self._banner(overview))
        self._has_served = True

    def _sorted(self) -> tuple[list[ChildProcess], list[ChildProcess]]:
        vital = [child for child in self._children if child.spec.is_vital]
        return vital, [child for child in self._children if not child.spec.is_vital]

    def _give_up(self, child: ChildProcess, error: StartError) -> None:
        """End with a worker's own exit status where it has said in a line of its own why it cannot start."""
        if child.exit_status in (2, 3):
            self._exit_status = child.exit_status
        else:
            self._failure = error
        self._stop_asked.set()

    def _banner(self, overview: Overview) -> Banner:
        settings, facts = self._settings, overview.facts
        has_store = any(child.name == "store" for child in self._children)
        store = parse_address(settings.store.listen)
        built_in = built_in_routes(
            settings.listen, settings.egress_proxy, has_clients=bool(settings.clients)
        )
        return Banner(
            version=self._order.version,
            data_dir=str(self._data_dir),
            proxy_url=facts["listen"] or "",
            routes=tuple(n for n, r in settings.routes.items() if r != built_in.get(n)),
            providers=tuple(n for n, r in built_in.items() if r == settings.routes[n]),
            admin_url=facts["admin"],
            store_url=f"http://{reachable(store)}" if has_store and store.port else "",
            admin_token_needed=bool(settings.admin.token),
            command=self._order.command,
            options=self._order.options,
        )

    async def _stop(self, metrics: MetricsOfAll) -> None:
        """Refuse new connections, then stop the workers, the exporter (it flushes what they wrote), the store."""
        if self._data_port is not None:
            self._data_port.close()
        async with asyncio.TaskGroup() as tasks:
            if self._has_served:
                tasks.create_task(self._tell_of_stop(metrics), name="tell")
            orderly = tasks.create_task(self._stop_in_order(), name="stop")
            hurried = tasks.create_task(self._hurry_asked.wait(), name="hurry")
            await asyncio.wait([orderly, hurried], return_when=asyncio.FIRST_COMPLETED)
            if not orderly.done():
                self._exit_status = 1
                await asyncio.gather(
                    *(child.hurry(HURRY_SECONDS) for child in self._children)
                )
                orderly.cancel()
            hurried.cancel()

    async def _tell_of_stop(self, metrics: MetricsOfAll) -> None:
        calls = round((await metrics.totals())["inflight"])
        self._tell(stopping(calls, self._settings.timeouts.drain_seconds))

    async def _stop_in_order(self) -> None:
        vital, others = self._sorted()
        await asyncio.gather(*(child.stop() for child in vital))
        for child in reversed(others):
            await child.stop()


async def _lives(worker: ControlClient) -> bool:
    try:
        await worker.healthy(1.0)
    except UnreachableError:
        return False
    return True


def _backoff(spec: ChildSpec) -> Backoff:
    """Give the waits between a child's lives: while no worker is up each new connection waits, so theirs are short."""
    serves_agents = bool(spec.pass_fds)
    return Backoff(random.random, most_seconds=1.0 if serves_agents else 10.0)
