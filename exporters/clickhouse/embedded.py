"""The store process: chDB and its HTTP interface, run as `python -m exporters.clickhouse.embedded --config PATH`.

What lives here: the life of the process. What does not: the interface (`http.py`), the engine (`engine.py`). chDB is imported in this
process only: it takes 300 MB and several dozen threads, and when it aborts, it takes nothing else with it.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from exporters.clickhouse import store_lock
from exporters.clickhouse.engine import Engine
from exporters.clickhouse.http import Interface
from exporters.clickhouse.limits import Limits
from exporters.clickhouse.schema import Layout
from exporters.clickhouse.watch import Heartbeat, MemoryGuard, resident_bytes
from exporters.clickhouse.wire import Credentials
from proxy import log
from proxy.child import Child, run
from proxy.config import (
    Address,
    Settings,
    ensure_data_dir,
    environment,
    load,
    parse_address,
)
from proxy.control import ControlServer, Probes, socket_path
from proxy.errors import StartError

logger = logging.getLogger("tacho.store")

CRASHES: Final = (
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
)
"""chDB catches these to print a trace and then hangs, its lock held; a crash must be a death, which the supervisor sees."""
GRACE_SECONDS: Final = 3.0
"""How long queries under way may go on after the stop."""


async def serve(
    child: Child, settings: Settings, listen: str, wait_seconds: float
) -> None:
    """Lock, open, listen, serve, close."""
    data_dir = _data_dir(settings)
    secrets = ensure_data_dir(settings)
    database = settings.exporters.clickhouse.database
    async with store_lock.hold(data_dir, child.stopping, wait_seconds) as held:
        if not held:
            return
        engine = await asyncio.to_thread(
            Engine, str(data_dir / "store"), database, Limits()
        )
        layout = Layout(
            database=database,
            retention_days=settings.exporters.clickhouse.retention_days,
        )
        await asyncio.to_thread(engine.prepare, layout)
        for number in CRASHES:
            signal.signal(number, signal.SIG_DFL)
        address = parse_address(listen)
        interface = Interface(
            engine, Credentials(secrets.read_token, secrets.write_token), address.host
        )
        try:
            async with listening(interface, address) as bound:
                store_lock.write_address(data_dir, bound)
                if not address.port:  # one that was asked for is known to who asked
                    logger.info("store_listens", extra={"detail": {"address": bound}})
                await _answer_probes(child, engine, interface, data_dir, bound)
        finally:
            store_lock.address_file(data_dir).unlink(missing_ok=True)
            await asyncio.to_thread(engine.kill_queries)
            interface.close()
            await asyncio.to_thread(engine.close)


def _data_dir(settings: Settings) -> Path:
    return Path(settings.data_dir).absolute()


@contextlib.asynccontextmanager
async def listening(interface: Interface, address: Address) -> AsyncIterator[str]:
    """Serve the interface inside the block; give HOST:PORT."""
    runner = web.AppRunner(
        interface.app(),
        access_log=None,
        auto_decompress=False,
        shutdown_timeout=GRACE_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port)
        try:
            await site.start()
        except OSError as error:
            raise StartError(
                f"the store cannot listen on {address.host}:{address.port}: {error.strerror}; set TACHO_STORE_LISTEN to another address"
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    finally:
        await runner.cleanup()


async def _answer_probes(
    child: Child, engine: Engine, interface: Interface, data_dir: Path, address: str
) -> None:
    """Say that we are ready, and answer the supervisor until the stop."""
    heartbeat = Heartbeat(engine)
    guard = MemoryGuard(resident_bytes, engine.kill_long_reads)

    def status() -> dict[str, Any]:
        return {
            "address": address,
            "version": engine.version,
            "queries": interface.queries,
            "refused": interface.refused,
            "failed": interface.failed,
            "cancelled_for_memory": guard.cancelled,
        }

    probes = Probes(
        health=heartbeat.health,
        ready=lambda: not child.stopping.is_set(),
        metrics=lambda: msgspec.msgpack.encode([]),
        status=status,
    )
    control = ControlServer(socket_path(data_dir, "store"), probes)
    await control.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(heartbeat.run(), name="store-heartbeat")
            guarding = tasks.create_task(guard.run(), name="store-memory-guard")
            child.announce_ready()
            await child.stopping.wait()
            beating.cancel()
            guarding.cancel()
    finally:
        await control.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the options and run the process; give its exit status."""
    parser = argparse.ArgumentParser(
        prog="exporters.clickhouse.embedded", description=__doc__
    )
    parser.add_argument("--config", default="", help="the settings file")
    parser.add_argument(
        "--listen", default="", help="HOST:PORT instead of store.listen"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=store_lock.WAIT_SECONDS,
        help="seconds to wait for another store on the same data_dir to end",
    )
    options = parser.parse_args(arguments)
    log.setup("store")

    async def start(child: Child) -> None:
        settings = load(options.config or None, environment())
        await serve(
            child, settings, options.listen or settings.store.listen, options.wait
        )

    return run("store", start)


if __name__ == "__main__":
    sys.exit(main())
