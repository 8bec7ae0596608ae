"""The exporter process: `python -m exporters.worker --config PATH [--drain]`.

What lives here: the wiring: settings, clocks, the list of destinations, the control socket. What does not: the work
(`export.py`). SIGTERM saves, delivers for FLUSH_SECONDS at most and ends; with `--drain` the process ends by itself when
everything is in rows and everywhere.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from exporters.delivery import Exporter
from exporters.export import Export
from exporters.jsonl import JsonlExporter, JsonlOptions
from exporters.row_log import RowLogOptions
from proxy import log
from proxy.child import Child, run
from proxy.config import Secrets, Settings, ensure_data_dir, environment, load
from proxy.control import ControlServer, Probes, socket_path

NAME = "exporter"


def destinations(settings: Settings, secrets: Secrets) -> dict[str, Exporter]:
    """List the destinations that the settings switch on, by the names of their cursors."""
    found: dict[str, Exporter] = {}
    if settings.exporters.clickhouse.url:
        from exporters.clickhouse.sink import (
            ClickHouseExporter,
        )  # heavy: only where it is used

        found["clickhouse"] = ClickHouseExporter(settings, secrets)
    jsonl = settings.exporters.jsonl
    if jsonl.directory:
        options = JsonlOptions(
            Path(jsonl.directory), jsonl.rotate_bytes, jsonl.keep_files
        )
        found["jsonl"] = JsonlExporter(options)
    return found


async def serve(child: Child, config: str | None, *, drain: bool) -> None:
    """Run the exporter until it is told to stop, or, with `drain`, until nothing is left to do."""
    settings = load(config, environment())
    secrets = ensure_data_dir(settings)
    data_dir = Path(settings.data_dir)
    spool = settings.spool
    export = Export(
        data_dir,
        destinations(settings, secrets),
        RowLogOptions(
            spool.row_log_max_bytes,
            spool.row_log_retention_hours,
            sync=spool.fsync != "never",
        ),
        clock=time.monotonic,
        now_us=_now_us,
    )
    probes = Probes(
        export.health,
        lambda: not child.stopping.is_set(),
        export.metrics,
        export.status,
    )
    control = ControlServer(socket_path(data_dir, NAME), probes)
    await control.start()
    try:
        child.announce_ready()
        await (export.drain if drain else export.run)(child.stopping)
    finally:
        await control.close()


def _now_us() -> int:
    return time.time_ns() // 1000


def main(arguments: Sequence[str]) -> int:
    """Run the process; give its exit status."""
    parser = argparse.ArgumentParser(
        prog="exporters.worker", description="Make rows of the spool and deliver them."
    )
    parser.add_argument("--config", default=None, help="the settings file")
    parser.add_argument(
        "--drain", action="store_true", help="end when everything is delivered"
    )
    parsed = parser.parse_args(arguments)
    log.setup(NAME)
    return run(NAME, lambda child: serve(child, parsed.config, drain=parsed.drain))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
