"""The destination `jsonl`: rows as JSON lines, one file a table, rotated by size.

What lives here: the files, and the note of how long each was after the last batch. What does not: batches and retries
(`delivery.py`). The note makes it exactly once: after a crash a file is cut back to its noted length, and a batch whose
token is noted is not written again.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from exporters.reader import Batch
from proxy.record.disk import make_directory, replace_file


class _Table(msgspec.Struct, frozen=True):
    """How a table's file stood after its last batch."""

    token: str
    size: int


@dataclass(frozen=True, slots=True)
class JsonlOptions:
    """Where the files are and how large they get."""

    directory: Path
    rotate_bytes: int = 256 << 20
    keep_files: int = 10
    """Rotated files that are kept beside the current one; `steps.1.jsonl` is the newest."""


class JsonlExporter:
    """Appends each batch once to `<directory>/<table>.jsonl`."""

    def __init__(self, options: JsonlOptions) -> None:
        self._options = options
        self._note = options.directory / ".position.json"
        self._tables: dict[str, _Table] = {}

    async def start(self) -> None:
        """Make the directory and cut the files back to what was noted; raises `OSError`."""
        await asyncio.to_thread(self._start)

    async def export(self, batch: Batch) -> None:
        """Append the batch; raises `OSError`, after which the next call cuts the file back first."""
        await asyncio.to_thread(self._export, batch)

    async def close(self) -> None:
        """Nothing is kept open between batches."""

    def _start(self) -> None:
        make_directory(self._options.directory)
        try:
            self._tables = msgspec.json.decode(
                self._note.read_bytes(), type=dict[str, _Table]
            )
        except FileNotFoundError:
            self._tables = {}
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise OSError(
                f"{self._note} is damaged ({error}); delete it to go on behind what the files hold"
            ) from error
        for table, noted in list(self._tables.items()):
            path = self._path(table)
            size = path.stat().st_size if path.exists() else 0
            if size > noted.size:
                os.truncate(path, noted.size)
            elif (
                size < noted.size
            ):  # it was rotated, by us just before a crash or by somebody else
                self._write_note(table, _Table(noted.token, size))

    def _export(self, batch: Batch) -> None:
        noted = self._tables.get(batch.table)
        if noted is not None and noted.token == batch.token:
            return
        path = self._path(batch.table)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            if noted is None:
                self._write_note(batch.table, _Table("", size))
            elif size > noted.size:
                os.ftruncate(fd, noted.size)
                size = noted.size
            _write_all(fd, batch.body, size)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        self._write_note(batch.table, _Table(batch.token, size + len(batch.body)))
        if size + len(batch.body) >= self._options.rotate_bytes:
            self._rotate(batch.table)
            self._write_note(batch.table, _Table(batch.token, 0))

    def _write_note(self, table: str, noted: _Table) -> None:
        self._tables[table] = noted
        replace_file(self._note, msgspec.json.encode(self._tables))

    def _rotate(self, table: str) -> None:
        directory, keep = self._options.directory, self._options.keep_files
        (directory / f"{table}.{keep}.jsonl").unlink(missing_ok=True)
        for number in range(keep - 1, 0, -1):
            older = directory / f"{table}.{number}.jsonl"
            if older.exists():
                older.rename(directory / f"{table}.{number + 1}.jsonl")
        self._path(table).rename(directory / f"{table}.1.jsonl")

    def _path(self, table: str) -> Path:
        return self._options.directory / f"{table}.jsonl"


def _write_all(fd: int, body: bytes, offset: int) -> None:
    view = memoryview(body)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
