"""chDB: handles, limits and the ways in which it is called.

What lives here: `Engine`, the only code that talks to chDB. What does not: what may be run (`statements.py`), HTTP (`http.py`).

Each call has a handle of its own: settings and USE belong to a handle, and after a failed query chDB puts what it had already
written in front of the next answer of the same handle. All methods block; they are called from threads. One process can have
one path open, and a path one process.
"""

import re
import threading
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from exporters.clickhouse.allowed import (
    FUNCTIONS_QUERY,
    FunctionRow,
    Functions,
    split_functions,
)
from exporters.clickhouse.limits import Limits
from exporters.clickhouse.schema import Layout, create, migrate, version_query
from exporters.clickhouse.statements import Parsed, Statement
from proxy.errors import StartError

CODE: Final = re.compile(r"Code: (\d+)\. ")
SCOPE_OF_CHECK: Final = re.compile(
    r": In scope SELECT (?:format|parse)Query.*(?=\. \([A-Z_]+\))", re.DOTALL
)
"""What the check adds to a syntax error: the client's statement once more, as our parameter."""
CANNOT_BE_CHECKED: Final = frozenset({36, 536})
"""BAD_ARGUMENTS: this kind of statement has no tree; CANNOT_RESTORE_FROM_FIELD_DUMP: there is no way back from the tree."""
UNKNOWN_ERROR: Final = 1002


class EngineError(Exception):
    """The engine refused or failed; `code` is ClickHouse's number."""

    def __init__(self, message: str) -> None:
        start = message.rfind("Code: ", 0, 40)
        super().__init__(SCOPE_OF_CHECK.sub("", message[max(start, 0) :]))
        match = CODE.search(message)
        self.code = int(match[1]) if match else UNKNOWN_ERROR


class Answer(msgspec.Struct, frozen=True):
    """What a query gave."""

    body: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    elapsed_ns: int = 0

    def summary(self) -> dict[str, str]:
        """Give the header X-ClickHouse-Summary; numbers are text there."""
        return {
            "read_rows": str(self.read_rows),
            "read_bytes": str(self.read_bytes),
            "written_rows": str(self.written_rows),
            "written_bytes": str(self.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": str(self.result_rows),
            "result_bytes": str(len(self.body)),
            "elapsed_ns": str(self.elapsed_ns),
        }


class _Tree(msgspec.Struct):
    tree: str
    text: str


class Engine:
    """chDB on one path, and what it is made of."""

    def __init__(self, path: str, database: str, limits: Limits) -> None:
        try:
            import chdb
        except ImportError as error:
            raise StartError(
                "the embedded store needs chDB: pip install 'tachograph[embedded]', or set exporters.clickhouse.url to a server"
            ) from error
        self._chdb: Any = chdb
        self._path = path
        self.database = database
        self.limits = limits
        self._lock = threading.Lock()
        try:
            self._keep = chdb.connect(path)
            self._call(self._keep, f"CREATE DATABASE IF NOT EXISTS {database}")
            about = self._call(
                self._keep, "SELECT version(), timezone()", "TSVRaw"
            ).body
            rows = self._call(self._keep, FUNCTIONS_QUERY, "JSONEachRow").body
        except (RuntimeError, OSError, EngineError) as error:
            raise StartError(f"chDB cannot open {path}: {error}") from error
        self.version, self.timezone = about.decode().strip().split("\t")
        self.functions: Functions = split_functions(
            msgspec.json.decode(line, type=FunctionRow) for line in rows.splitlines()
        )

    def prepare(self, layout: Layout) -> None:
        """Make or migrate the tables, so that they can be read before the first row comes."""
        try:
            for statement in create(layout):
                self._call(self._keep, statement)
            found = int(self._call(self._keep, version_query(layout)).body or b"0")
            for statement in migrate(layout, found):
                self._call(self._keep, statement)
        except EngineError as error:
            raise StartError(
                f"the tables in {self._path} cannot be made: {error}"
            ) from error

    def parse(self, text: str) -> Parsed:
        """Parse one statement given as data; see `statements.Parser`."""
        handle = self._open({}, readonly=True)
        try:
            one = self._call(
                handle,
                "SELECT formatQuerySingleLine({q:String}) AS text",
                "JSONEachRow",
                {"q": escaped(text)},
            )
            clean = str(msgspec.json.decode(one.body)["text"])
            try:
                both = self._call(
                    handle,
                    "SELECT parseQueryToJSON({q:String}) AS tree, formatQuerySingleLine(formatQueryFromJSON(tree)) AS text",
                    "JSONEachRow",
                    {"q": escaped(clean)},
                )
            except EngineError as error:
                if error.code not in CANNOT_BE_CHECKED:
                    raise
                return Parsed(clean, None, "")
            found = msgspec.json.decode(both.body, type=_Tree)
            same = found.text == clean or (
                self._call(handle, f"EXPLAIN AST {found.text}").body
                == self._call(handle, f"EXPLAIN AST {clean}").body
            )
            return Parsed(clean, msgspec.json.decode(found.tree), found.text, same)
        finally:
            handle.close()

    def run(
        self,
        statement: Statement,
        default_format: str,
        settings: Mapping[str, str],
        parameters: Mapping[str, str],
    ) -> Answer:
        """Run a checked statement; raise `EngineError`. What does not write runs under `readonly`."""
        handle = self._open(
            {**settings, **statement.settings}, readonly=not statement.writes
        )
        try:
            return self._call(
                handle, statement.text, statement.format or default_format, parameters
            )
        finally:
            handle.close()

    def insert(
        self, head: str, format_name: str, settings: Mapping[str, str], data: bytes
    ) -> Answer:
        """Insert data that is already encoded; raise `EngineError`. All of it is stored, or nothing."""
        handle = self._open(settings, readonly=False)
        try:
            with handle.send_insert(head, format_name) as inserter:
                inserter.append(data)
                done = inserter.finish()
        except (RuntimeError, OSError) as error:
            raise EngineError(_insert_error(str(error))) from error
        finally:
            handle.close()
        return Answer(
            b"",
            written_rows=done.rows_written,
            written_bytes=done.bytes_written,
            elapsed_ns=int(done.elapsed * 1e9),
        )

    def alive(self) -> bool:
        """Ask the engine for one row."""
        handle = self._open({}, readonly=True)
        try:
            return self._call(handle, "SELECT 1", "TSVRaw").body == b"1\n"
        finally:
            handle.close()

    def kill_queries(self) -> None:
        """Cancel what still runs, so that the process can end."""
        self._kill("1")

    def kill_long_reads(self) -> None:
        """Cancel reads that have run for a while; inserts go on."""
        self._kill("elapsed > 0.5 AND query NOT ILIKE 'INSERT%'")

    def _kill(self, which: str) -> None:
        with self._lock:
            self._call(
                self._keep,
                f"KILL QUERY WHERE ({which}) AND query NOT LIKE 'KILL QUERY%' ASYNC",
            )

    def close(self) -> None:
        """Close the path."""
        with self._lock:
            self._keep.close()

    def _open(self, wanted: Mapping[str, str], *, readonly: bool) -> Any:
        """Give a handle in our database with these settings.

        `readonly` is 2, as for people's users on a server: under 1 clients see each setting as locked and send none.
        """
        settings = self.limits.apply(wanted)
        handle = self._chdb.connect(self._path)
        try:
            self._call(handle, f"USE {self.database}")
            assignments = ", ".join(
                f"{name} = {quoted(value)}" for name, value in settings.items()
            )
            self._call(handle, f"SET {assignments}")
            if readonly:
                self._call(handle, "SET readonly = 2")
        except EngineError:
            handle.close()
            raise
        return handle

    def _call(
        self,
        handle: Any,
        sql: str,
        format_name: str = "TSVRaw",
        parameters: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            result = handle.query(sql, format_name, params=dict(parameters or {}))
        except (RuntimeError, OSError, ValueError) as error:
            raise EngineError(str(error)) from error
        if len(result) > self.limits.result_bytes:
            raise EngineError(
                f"Code: 396. DB::Exception: the result is larger than {self.limits.result_bytes} bytes; "
                "ask for less, or in a more compact format. (TOO_MANY_ROWS_OR_BYTES)"
            )
        return Answer(
            result.bytes() or b"",
            result.storage_rows_read(),
            result.storage_bytes_read(),
            result.rows_written(),
            result.bytes_written(),
            result.rows_read(),
            int(result.elapsed() * 1e9),
        )


def escaped(text: str) -> str:
    """Write text as the value of a bound parameter, which is read like a field of TSV."""
    return (
        text.replace("\\", "\\\\")
        .replace("\n", "\\n")
        .replace("\t", "\\t")
        .replace("\r", "\\r")
        .replace("\0", "\\0")
    )


def quoted(value: str) -> str:
    """Write text as a literal of SQL."""
    return "'" + escaped(value).replace("'", "\\'") + "'"


def _insert_error(message: str) -> str:
    start = message.find("Code: ")
    return message[start:] if start >= 0 else message
