"""What is measured, and what it talks to: processes that are started for the benchmark and stopped after it.

What lives here: the mock provider, a whole `tacho up`, and a worker alone (for processor time that is nobody else's). What
does not: asking them anything (`load.py`).
"""

import json
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from bench.machine import children_of, command_of, pin, starting_on

ROOT = Path(__file__).parents[1]
LOAD_CORE, PRODUCT_CORE = 0, 1
"""Mock and load generator share a core, the worker has one of its own where there are two."""
START_SECONDS = 120.0
CHAT = "/openai/v1/chat/completions"


class StartFailedError(Exception):
    """A process did not come up; the message holds what it said."""


class _Running:
    """A process that ends with the `with` block."""

    process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class Mock(_Running):
    """The provider."""

    def __init__(self, binary: Path) -> None:
        with starting_on(LOAD_CORE):
            self.process = subprocess.Popen([binary], bufsize=0, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(_line(self.process.stdout, self.process))
        self.path = "/v1/chat/completions"


def settings(
    place: Path, mock: Mock, policies: Mapping[str, Any] | None = None
) -> Path:
    """Write settings: everything as by default, but for ports, the data directory, the provider's address, and `policies`."""
    upstream = f"http://127.0.0.1:{mock.port}"
    any_port = "127.0.0.1:0"
    given = {
        "listen": any_port,
        "admin": {"listen": any_port},
        "store": {"listen": any_port},
        "data_dir": str(place / "data"),
        "routes": {"openai": {"url": upstream, "kind": "llm", "provider": "openai"}},
        "policies": policies or {},
    }
    path = place / "tachograph.yaml"
    path.write_text(json.dumps(given))
    return path


class Product(_Running):
    """`tacho up`, with all its processes."""

    def __init__(self, place: Path, mock: Mock) -> None:
        self.config = settings(place, mock)
        self.path = CHAT
        began = time.monotonic()
        with (place / "up.err").open("wb") as errors:
            self.process = subprocess.Popen(
                [tacho(), "up", "--config", self.config],
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout is not None
        self.port = 0
        while not self.port:
            found = re.search(
                rb"OPENAI_BASE_URL=http://[^:]+:(\d+)/",
                _line(self.process.stdout, self.process),
            )
            self.port = int(found[1]) if found else 0
        self.start_seconds = time.monotonic() - began
        """Until it says that it runs; the data port accepts from then on at the latest."""
        self.processes = self._find_processes()
        self.worker = self.processes["worker"]
        pin(self.worker, PRODUCT_CORE)

    def _find_processes(self) -> dict[str, int]:
        """Wait until all children run; those behind the worker start after it."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            found = {
                name: pid
                for pid in children_of(self.process.pid)
                for name, module in _MODULES.items()
                if module in command_of(pid)
            }
            if len(found) == len(_MODULES):
                return {"supervisor": self.process.pid, **found}
            time.sleep(0.05)
        raise StartFailedError("not all processes of tacho up came up")

    def count_metered(self) -> int:
        """Ask the store how many calls have a row with the usage that the provider stated."""
        statement = "SELECT count() FROM steps WHERE part = 0 AND usage_source = 'provider' AND outcome = 'completed' FORMAT TSV"
        asked = subprocess.run(
            [tacho(), "sql", "--config", self.config, "--format", "TSV", statement],
            capture_output=True,
            text=True,
            check=False,
        )
        return int(asked.stdout) if asked.stdout.strip().isdigit() else 0


_MODULES = {
    "worker": "proxy.worker",
    "exporter": "exporters.worker",
    "store": "exporters.clickhouse.embedded",
}


class Worker(_Running):
    """A worker alone, started as the supervisor starts it; its records stay in the spool."""

    def __init__(
        self,
        place: Path,
        mock: Mock,
        *options: str,
        policies: Mapping[str, Any] | None = None,
    ) -> None:
        """`options` are the interpreter's."""
        self.path = CHAT
        self.errors = place / "worker.err"
        with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
            fd = listener.fileno()
            self.port = listener.getsockname()[1]
            module = ["-P", *options, "-m", "proxy.worker"]
            arguments = [
                "--config",
                str(settings(place, mock, policies)),
                "--name",
                "w0",
            ]
            with starting_on(PRODUCT_CORE), self.errors.open("wb") as errors:
                self.process = subprocess.Popen(
                    [sys.executable, *module, *arguments, "--fd", str(fd)],
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    pass_fds=[fd],
                    cwd=place,
                )
        assert self.process.stdout is not None
        _line(self.process.stdout, self.process)
        self.worker = self.process.pid


def tacho() -> Path:
    """Give the command of the environment that runs this."""
    return Path(sys.executable).with_name("tacho")


def _line(stream: IO[bytes], process: subprocess.Popen[bytes]) -> bytes:
    # Unbuffered streams only: `select` knows nothing of what a buffer holds.
    ready, _, _ = select.select([stream], [], [], START_SECONDS)
    line = stream.readline() if ready else b""
    if not line:
        raise StartFailedError(
            f"{process.args!r} did not start (exit status {process.poll()})"
        )
    return line
