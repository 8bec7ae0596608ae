"""A real store process for tests, and a plain HTTP client that owes nothing to our own code.

What lives here: `StoreProcess`, `Answer`. What does not: fixtures (`conftest.py` of each folder that needs a store).
"""

import base64
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.helpers.processes import PATIENCE_SECONDS, environ, wait_for


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> int:
        """ClickHouse's error code; 0 for none."""
        return int(self.headers.get("X-ClickHouse-Exception-Code", "0"))


class StoreProcess:
    """The store child on a directory, as the supervisor runs it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "start() comes first"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def launch(self, *options: str) -> "StoreProcess":
        """Start the process without waiting for it."""
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "exporters.clickhouse.embedded",
                *("--listen", "127.0.0.1:0"),
                *options,
            ],
            env=environ(TACHO_DATA_DIR=str(self.data_dir)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return self

    def start(self) -> "StoreProcess":
        self.launch()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == b"ready\n", self.end(signal.SIGKILL)
        return self

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, wait, and give the exit status and what was said on stderr."""
        process = self.process
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        _, errors = process.communicate()
        return process.returncode, errors.decode()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = (
            (self.data_dir / "run" / "store.address").read_text().rpartition(":")
        )
        return host, int(port)

    @property
    def read_token(self) -> str:
        return (self.data_dir / "read_token").read_text()

    @property
    def write_token(self) -> str:
        return (self.data_dir / "write_token").read_text()

    def ask(
        self, statement: str | bytes, token: str | None = None, **query: str
    ) -> Answer:
        """Send one statement with the read token (or another) in Basic auth."""
        given = self.read_token if token is None else token
        credentials = base64.b64encode(f"anyone:{given}".encode()).decode()
        return self.request(
            "POST",
            "/?" + urlencode(query),
            statement if isinstance(statement, bytes) else statement.encode(),
            {"Authorization": f"Basic {credentials}"},
        )

    def write(self, statement: str | bytes, **query: str) -> Answer:
        """Send one statement with the write token."""
        return self.ask(statement, self.write_token, **query)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        host, port = self.address
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


def open_store(data_dir: Path) -> StoreProcess:
    """Start a store on a fresh directory."""
    store = StoreProcess(data_dir).start()
    wait_for(lambda: store.request("GET", "/ping").status == 200, "the store to answer")
    assert os.path.isdir(data_dir / "store")
    return store
