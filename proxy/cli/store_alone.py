"""The embedded store while the product is stopped: the same child process, for the time of one question.

What lives here: starting it, having what is pending loaded, stopping it. What does not: the question (`store.py`), the child itself,
which is named here as a module and never imported.
"""

import asyncio
import importlib.util
import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from proxy.cli.options import Loaded
from proxy.cli.output import complain
from proxy.cli.store import Store
from proxy.config import ensure_data_dir
from proxy.control_client import ControlClient
from proxy.errors import TachoError
from proxy.supervise.plan import module_argv, store

STOP_SECONDS = 10.0
DRAIN_SECONDS = 60.0
"""How long a question waits for records that are not loaded yet; what is loaded by then is answered from."""
ANY_PORT = "127.0.0.1:0"
EXPORTER_MODULE = "exporters.worker"


@contextmanager
def store_alone(loaded: Loaded) -> Iterator[Store]:
    """Run the store child with everything loaded that the spool holds; raise `TachoError` where that is impossible."""
    data_dir = Path(loaded.settings.data_dir).absolute()
    if not any((data_dir / part).exists() for part in ("store", "rows", "spool")):
        raise TachoError(f"there is nothing in {data_dir} yet; start with: tacho up")
    ensure_data_dir(loaded.settings)
    with _child(
        store(loaded.path).argv, {**loaded.environ, "TACHO_STORE_LISTEN": ANY_PORT}
    ):
        address = str(
            asyncio.run(ControlClient(data_dir, "store").status(STOP_SECONDS))[
                "address"
            ]
        )
        _load_pending(loaded, data_dir, address)
        yield Store.embedded(loaded.settings, address)


def _load_pending(loaded: Loaded, data_dir: Path, address: str) -> None:
    """Have the exporter catch up; what stays unloaded is said in one line."""
    if not pending_bytes(data_dir):
        return
    why = "there is no exporter in this installation"
    if importlib.util.find_spec(EXPORTER_MODULE) is not None:
        argv = (*module_argv(EXPORTER_MODULE, loaded.path), "--drain")
        environ = {**loaded.environ, "TACHO_STORE_LISTEN": address}
        why = _drain(argv, environ)
        if not why:
            return
    complain(
        f"up to {pending_bytes(data_dir)} bytes of records in {data_dir} are not loaded: {why}"
    )


def _drain(argv: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """Run the exporter until it has caught up; give nothing, or why it did not."""
    with tempfile.TemporaryFile() as said:
        exporter = subprocess.Popen(
            argv, env=dict(environ), stdin=subprocess.PIPE, stdout=said, stderr=said
        )
        try:
            status = exporter.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            return f"the exporter was not done after {DRAIN_SECONDS:g} s"
        finally:
            _end(exporter)
        if status == 0:
            return ""
        return _last_line(said) or f"the exporter ended with {status}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def pending_bytes(data_dir: Path) -> int:
    """Give what lies in the raw spool and the row log, an upper bound of what is not loaded."""
    segments = [
        path for part in ("spool", "rows") for path in (data_dir / part).rglob("*.seg")
    ]
    return sum(path.stat().st_size for path in segments)


@contextmanager
def _child(argv: tuple[str, ...], environ: Mapping[str, str]) -> Iterator[None]:
    """Run a child of the supervisor's kind; it ends with the block, and with us."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            argv,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        try:
            if not _got_ready(process):
                process.kill()
                process.wait()
                raise TachoError(
                    f"the store cannot be started: {_last_line(said) or f'exit status {process.returncode}'}"
                )
            yield
        finally:
            _end(process)


def _got_ready(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    readable, _, _ = select.select(
        [process.stdout], [], [], store("").ready_within_seconds
    )
    return bool(readable) and process.stdout.readline() == b"ready\n"


def _last_line(said: BinaryIO) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
