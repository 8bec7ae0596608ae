"""The whole product as its user runs it: `tacho up` (or one half) on a data directory, and the means to break it.

What lives here: settings, start, signals to each process, and the ways to ask: status, metrics, rows. What does not: load
(`load.py`), what must be true (`audit.py`). Plain blocking code; nothing here shares code with the product's own clients.
"""

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tests.helpers.processes import ROOT, environ

PATIENCE_SECONDS = 60.0
"""A machine that runs other tests, too, takes its time."""
_FREE = "127.0.0.1:0"

Value = TypeVar("Value")


def await_that(
    probe: Callable[[], Value], what: str, seconds: float = PATIENCE_SECONDS
) -> Value:
    """Poll until `probe` gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


def free_port() -> int:
    """Give a port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Installation:
    """One data directory and one data port; the product on it may be started again and again."""

    def __init__(self, place: Path, upstream_url: str, **settings: Any) -> None:
        """`settings` are top-level keys of the settings file, and `providers` names of more routes."""
        self.place = place
        self.data_dir = Path(settings.pop("data_dir", place / "data"))
        self.port = free_port()
        self.config = place / "tachograph.json"
        routes = {
            "openai": {"url": upstream_url},
            "anthropic": {"url": upstream_url},
            "tool": {"url": upstream_url, "kind": "tool"},
        }
        routes |= {
            name: {"url": upstream_url} for name in settings.pop("providers", ())
        }
        document = {
            "listen": f"127.0.0.1:{self.port}",
            "admin": {"listen": _FREE},
            "store": {"listen": _FREE},
            "data_dir": str(self.data_dir),
            "routes": routes,
            # A drill says what must survive kill -9 when the disk is quick enough; 50 ms on a busy machine are not.
            "spool": {"wait_ms": 10_000} | settings.pop("spool", {}),
            **settings,
        }
        self.config.write_text(json.dumps(document))
        self.process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    # Life and death.

    def launch(self, mode: str = "up") -> "subprocess.Popen[bytes]":
        """Start a supervisor, and do not wait."""
        self._starts += 1
        errors = self.place / f"{self._starts}.err"
        with (
            (self.place / f"{self._starts}.out").open("wb") as out,
            errors.open("wb") as err,
        ):
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "proxy", mode, "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environ(),
                cwd=self.place,
            )  # fmt: skip

    def start(self, mode: str = "up") -> "Installation":
        """Start, and wait until every process runs."""
        self.process = self.launch(mode)
        await_that(lambda: self._runs_or_ended(), "the product to run")
        assert self.process.poll() is None, self.said()
        return self

    def _runs_or_ended(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            return True
        status = self.status()
        return bool(status) and all(
            each["state"] == "running" for each in status["processes"].values()
        )

    def running(self, *names: str) -> None:
        """Wait until these processes run."""
        await_that(
            lambda: all(self.facts(each).get("state") == "running" for each in names),
            f"running {names}",
        )

    def kill(self, name: str, number: int = signal.SIGKILL) -> tuple[float, float]:
        """Signal a process as soon as there is one, in whatever state it is.

        Gives the moments between which it happened; for SIGKILL it is dead at the second.
        """
        if name == "supervisor":
            assert self.process is not None
            pid = self.process.pid
        else:
            found = await_that(lambda: self.facts(name).get("pid"), f"a process {name}")
            assert isinstance(found, int)
            pid = found
        before = time.monotonic()
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if number == signal.SIGKILL:
            await_that(lambda: _is_dead(pid), f"the end of {name}")
        after = time.monotonic()
        if name == "supervisor":
            self.ended()
        elif number == signal.SIGKILL:
            await_that(lambda: self.facts(name).get("pid") != pid, f"the end of {name}")
        return before, after

    def signal(self, number: int) -> None:
        """Signal the supervisor."""
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait until the supervisor has ended; give its exit status."""
        assert self.process is not None
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """Stop in order; give the exit status."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def end(self) -> None:
        """End every process of this installation, whoever is its parent now."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await_that(lambda: not self.processes(), "the end of all processes")

    def processes(self, module: str = "") -> list[int]:
        """Give the living processes that were started with this installation's settings file (and run a module)."""
        found = []
        ours_are = {os.fsencode(self.config)}
        ours_are |= {os.fsencode(self.data_dir / "run" / f"settings.{each}.yaml") for each in ("tacho", "tacho-export")}  # fmt: skip
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                ours = bool(ours_are & set(words)) and not _is_dead(int(entry.name))
                if ours and module.encode() in (b"", *words):
                    found.append(int(entry.name))
        return found

    def said(self) -> str:
        """Give what the last supervisor and its children wrote to stderr."""
        return (self.place / f"{self._starts}.err").read_text()

    # Questions.

    def status(self) -> dict[str, Any]:
        """Give what the admin port's `/status` says; nothing where nobody answers."""
        try:
            found: dict[str, Any] = json.loads(self.admin("/status")[1])
        except OSError:
            return {}
        return found

    def facts(self, name: str) -> dict[str, Any]:
        """Give what the status says of one process."""
        found: dict[str, Any] = self.status().get("processes", {}).get(name, {})
        return found

    def says(self, name: str) -> dict[str, Any]:
        """Give what a process says of itself; nothing where it is silent."""
        return self.facts(name).get("says") or {}

    def asked(self, name: str) -> dict[str, Any]:
        """Give what a process says of itself, as soon as it says something: on a busy machine it may be late for one answer."""
        return await_that(lambda: self.says(name), f"what {name} says")

    def admin(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Ask the admin port, or post to it; raises `OSError` where there is none."""
        banner = (self.place / f"{self._starts}.out").read_text()
        found = re.search(r"metrics +http://([\d.]+):(\d+)/metrics", banner)
        if found is None:
            raise OSError("no banner yet")
        connection = http.client.HTTPConnection(
            found[1], int(found[2]), timeout=PATIENCE_SECONDS
        )
        try:
            connection.request("GET" if body is None else "POST", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def counters(self, metric: str, label: str) -> Counter[str]:
        """Sum a metric's samples by one label."""
        totals: Counter[str] = Counter()
        pattern = rf'^{metric}\{{.*?\b{label}="([^"]*)".*?\}} (\S+)$'
        for value, number in re.findall(
            pattern, self.admin("/metrics")[1], re.MULTILINE
        ):
            totals[value] += round(float(number))
        return +totals

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Ask the store itself; raises `OSError` where it does not answer."""
        address = (self.data_dir / "run" / "store.address").read_text()
        token = (self.data_dir / "read_token").read_text().strip()
        credentials = base64.b64encode(f"drill:{token}".encode()).decode()
        host, _, port = address.rpartition(":")
        connection = http.client.HTTPConnection(
            host, int(port), timeout=PATIENCE_SECONDS
        )
        try:
            connection.request(
                "POST",
                "/?database=tacho&default_format=JSONEachRow",
                statement.encode(),
                {"Authorization": f"Basic {credentials}"},
            )
            answer = connection.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(text)
        return [json.loads(line) for line in text.splitlines()]


@contextmanager
def product_at(
    place: Path, upstream_url: str, **settings: Any
) -> Iterator[Installation]:
    """Run the product, with a route `gemini` beside the usual ones, and have it stop in order."""
    product = Installation(place, upstream_url, providers=("gemini",), **settings)
    try:
        yield product.start()
        assert product.stop() == 0, product.said()
    finally:
        product.end()


def _is_dead(pid: int) -> bool:
    """Whether it has ended, buried by its parent or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def tacho(
    config: Path, *words: str, seconds: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run a command of the product to its end."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "proxy", *words, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env=environ(),
        cwd=ROOT,
        check=False,
    )  # fmt: skip
