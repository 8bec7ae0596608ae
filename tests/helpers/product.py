"""A supervisor over fake children, as a process under test.

What lives here: its start, and the ways to ask it. What does not: the script that is run (`fake_product.py`).
"""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.helpers.processes import PATIENCE_SECONDS, ROOT, environ, wait_for

SCRIPT = ROOT / "tests" / "helpers" / "fake_product.py"


class Product:
    """One supervisor, its output, and the ways to ask it."""

    def __init__(
        self, place: Path, mode: str, *children: str, variables: dict[str, str]
    ) -> None:
        self.data_dir = place / "data"
        self.stdout, self.stderr = place / f"{mode}.out", place / f"{mode}.err"
        argv = [sys.executable, "-P", str(SCRIPT), mode]
        argv += [word for child in children for word in ("--child", child)]
        if (config := place / "tachograph.yaml").exists():
            argv += ["--config", str(config)]
        base = {
            "TACHO_DATA_DIR": str(self.data_dir),
            "TACHO_LISTEN": "127.0.0.1:0",
            "TACHO_ADMIN_LISTEN": "127.0.0.1:0",
        }
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                argv,
                stdout=out,
                stderr=err,
                env=environ(**{**base, **variables}),
                cwd=place,
            )

    def banner(self) -> str:
        """Wait until it says that it runs."""
        found = wait_for(
            lambda: (
                self._text()
                if "next" in self._text()
                else self.process.poll() is not None
            ),
            "banner",
        )
        assert isinstance(found, str), self.stderr.read_text()
        return found

    def _text(self) -> str:
        return self.stdout.read_text()

    def admin(self, path: str) -> tuple[int, str]:
        url = re.search(r"metrics +(http://\S+)/metrics", self.banner())
        assert url is not None
        try:
            with urllib.request.urlopen(
                url[1] + path, timeout=PATIENCE_SECONDS
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def status(self) -> Any:
        return json.loads(self.admin("/status")[1])

    def child(self, name: str) -> Any:
        return self.status()["processes"][name]

    def running(self, *names: str) -> None:
        """Wait until these children run."""
        wait_for(
            lambda: all(self.child(name)["state"] == "running" for name in names),
            f"running {names}",
        )

    def address(self) -> tuple[str, int]:
        found = re.search(
            r"OPENAI_BASE_URL=http://127.0.0.1:(\d+)/openai/v1", self.banner()
        )
        assert found is not None
        return "127.0.0.1", int(found[1])

    def ask_worker(self) -> int:
        """Connect to the data port; give the worker's process id, which is what the fake answers."""
        with socket.create_connection(
            self.address(), timeout=PATIENCE_SECONDS
        ) as connection:
            return int(connection.makefile().readline())

    def ended(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def said(self) -> str:
        return self.stderr.read_text()

    def end(self) -> None:
        """Stop it at once, however it is."""
        for number in (signal.SIGTERM, signal.SIGINT):
            if self.process.poll() is None:
                self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
