"""ClickHouse's HTTP interface in front of chDB.

What lives here: the handler that turns a request into one checked statement and its result into an answer. What does not: what
may run (`statements.py`), how requests look (`wire.py`), the process (`embedded.py`).

Queries run in threads, reads and writes in pools of their own, so that slow questions never keep rows from coming in, and
neither blocks `/ping`. Results are held whole before they are answered: an error can then still change the status.
"""

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
from aiohttp import BodyPartReader, web

from exporters.clickhouse import native, wire
from exporters.clickhouse.engine import Answer, Engine, EngineError
from exporters.clickhouse.statements import (
    Rules,
    allowed_settings,
    check,
    check_database,
    find_insert,
)
from exporters.clickhouse.tree import READONLY, Refused

MAX_BODY_BYTES: Final = 64 << 20
MAX_INFLATED_BYTES: Final = 256 << 20
TOO_MANY_QUERIES: Final = 202
NOT_IMPLEMENTED: Final = 48
NAMES: Final = {
    48: "NOT_IMPLEMENTED",
    81: "UNKNOWN_DATABASE",
    164: "READONLY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}
Result = TypeVar("Result")


class Request(msgspec.Struct, frozen=True):
    """One request as far as a query goes."""

    query_id: str
    role: wire.Role
    query: dict[str, str]
    body: bytes
    accept_encoding: str
    default_format: str


class Interface:
    """The HTTP interface of one engine."""

    def __init__(
        self,
        engine: Engine,
        credentials: wire.Credentials,
        host: str,
        *,
        readers: int = 4,
        writers: int = 2,
        queue: int = 64,
    ) -> None:
        self._engine = engine
        self._rules = Rules(engine.functions, engine.database)
        self._credentials = credentials
        self._host = host
        self._queue = queue
        self._pools = {
            "reader": ThreadPoolExecutor(readers, "read"),
            "writer": ThreadPoolExecutor(writers, "write"),
        }
        self._waiting = {"reader": 0, "writer": 0}
        self.queries = 0
        self.refused = 0
        self.failed = 0

    def app(self) -> web.Application:
        """Build the application; run it with `auto_decompress=False`."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/ping", self._ping)
        app.router.add_route("*", "/", self._handle)
        return app

    def close(self) -> None:
        """Take no more work."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    async def _ping(self, request: web.Request) -> web.Response:
        if self._from_here(request):
            return web.Response(text="Ok.\n")
        return web.Response(status=403, text="this Host or Origin is not allowed\n")

    async def _handle(self, request: web.Request) -> web.Response:
        """Answer one query, or say in ClickHouse's way why not."""
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        if not self._from_here(request):
            return self._error(query_id, 497, "this Host or Origin is not allowed here")
        if request.method in ("GET", "HEAD") and "query" not in request.query:
            return web.Response(text="Ok.\n")
        if request.method not in ("GET", "POST"):
            return web.Response(status=405, text="use GET or POST\n")
        role = self._credentials.role(wire.find_key(request.headers, request.query))
        if role is None:
            return self._error(
                query_id,
                wire.AUTHENTICATION_FAILED,
                "Authentication failed: give the read token as the password, with any user name",
            )
        self.queries += 1
        try:
            asked = await self._read(request, query_id, role)
            return await self._answer(asked)
        except wire.Unusable as error:
            return self._error(query_id, 36, str(error), status=error.status)
        except Refused as refusal:
            self.refused += 1
            return self._error(query_id, refusal.code, refusal.sentence)
        except EngineError as error:
            self.failed += 1
            return self._error(query_id, error.code, str(error))

    def _from_here(self, request: web.Request) -> bool:
        host = request.headers.get("Host", "")
        return wire.host_allowed(host, self._host) and wire.origin_allowed(
            request.headers.get("Origin"), host
        )

    async def _read(
        self, request: web.Request, query_id: str, role: wire.Role
    ) -> Request:
        query = dict(request.query)
        if query.get("compress") == "1" or query.get("decompress") == "1":
            raise Refused(
                "compress=1 and decompress=1 are not known here; use Accept-Encoding and Content-Encoding",
                NOT_IMPLEMENTED,
            )
        if request.content_type == "multipart/form-data":
            body = await _read_form(request, query)
        else:
            raw = await request.read()
            encoding = request.headers.get("Content-Encoding", "")
            body = await self._in_pool(
                role, lambda: wire.inflate(raw, encoding, MAX_INFLATED_BYTES)
            )
        if "query" in query:
            body = query["query"].encode() + b"\n" + body
        if request.method == "GET":
            role = "reader"
        named = request.headers.get("X-ClickHouse-Database", "")
        check_database(query.get("database") or named, self._rules)
        return Request(
            query_id,
            role,
            query,
            body,
            request.headers.get("Accept-Encoding", ""),
            query.get("default_format")
            or request.headers.get("X-ClickHouse-Format")
            or "TabSeparated",
        )

    async def _answer(self, asked: Request) -> web.Response:
        body, format_name, answer = await self._in_pool(
            asked.role, lambda: self._run(asked)
        )
        headers = self._headers(asked.query_id) | {
            "X-ClickHouse-Summary": msgspec.json.encode(answer.summary()).decode()
        }
        if format_name:
            headers["X-ClickHouse-Format"] = format_name
        if asked.query.get("enable_http_compression") == "1":
            encoding = wire.choose_encoding(asked.accept_encoding)
            if encoding and body:
                plain = body
                body = await self._in_pool(
                    asked.role, lambda: wire.deflate(plain, encoding)
                )
                headers["Content-Encoding"] = encoding
        return web.Response(
            body=body, headers=headers, content_type=_content_type(format_name)
        )

    def _run(self, asked: Request) -> tuple[bytes, str, Answer]:
        """Check and run, in a thread; give the answer's body and format."""
        given = allowed_settings(wire.settings(asked.query))
        insert = find_insert(asked.body, self._rules)
        if insert is not None:
            if asked.role != "writer":
                raise Refused("INSERT needs POST and the write token", READONLY)
            settings = {**given, **insert.settings}
            data = asked.body[insert.data_from :]
            return (
                b"",
                "",
                self._engine.insert(insert.head, insert.format, settings, data),
            )
        try:
            text = asked.body.decode()
        except UnicodeDecodeError as error:
            raise wire.Unusable("the statement is not UTF-8") from error
        parameters = wire.parameters(asked.query)
        statement = check(
            text,
            self._engine,
            self._rules,
            parameters=parameters,
            may_write=asked.role == "writer",
        )
        if lifted := self._engine.limits.lifted(statement.settings):
            raise Refused(
                f"{lifted} cannot be lifted beyond this store's limit", READONLY
            )
        revision = asked.query.get("client_protocol_version", "0")
        newer = (
            revision.isdigit() and int(revision) >= native.REVISION_WITH_SERIALIZATION
        )
        format_name = statement.format or asked.default_format
        if newer and format_name == "Native":
            given = {**given, **native.SETTINGS}
        answer = self._engine.run(statement, asked.default_format, given, parameters)
        body = answer.body
        if newer and format_name == "Native":
            body = _upgraded(body)
        return body, "" if statement.writes else format_name, answer

    async def _in_pool(self, role: wire.Role, work: Callable[[], Result]) -> Result:
        if self._waiting[role] >= self._queue:
            raise Refused("too many queries at once; try again", TOO_MANY_QUERIES)
        self._waiting[role] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pools[role], work
            )
        finally:
            self._waiting[role] -= 1

    def _headers(self, query_id: str) -> dict[str, str]:
        return {
            "X-ClickHouse-Server-Display-Name": "tachograph",
            "X-ClickHouse-Query-Id": _printable(query_id),
            "X-ClickHouse-Timezone": self._engine.timezone,
        }

    def _error(
        self, query_id: str, code: int, sentence: str, status: int | None = None
    ) -> web.Response:
        text = sentence
        if not text.startswith("Code: "):
            text = f"Code: {code}. DB::Exception: {sentence}. ({NAMES.get(code, 'BAD_ARGUMENTS')})"
        return web.Response(
            status=status or wire.STATUSES.get(code, 500),
            text=f"{text} (version {self._engine.version})\n",
            headers=self._headers(query_id)
            | {"X-ClickHouse-Exception-Code": str(code)},
        )


async def _read_form(request: web.Request, query: dict[str, str]) -> bytes:
    """Read a form: the query and its parameters; tables sent along are not known here."""
    left = MAX_BODY_BYTES
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.filename:
            raise Refused(
                "tables sent along with a query are not known here", NOT_IMPLEMENTED
            )
        value = await part.read()
        left -= len(value)
        if left < 0:
            raise wire.Unusable("the form is too large", 413)
        query[part.name or ""] = bytes(value).decode()
    return b""


def _upgraded(body: bytes) -> bytes:
    try:
        return native.upgrade(body)
    except native.UnknownTypeError as error:
        raise Refused(
            f"a column of the type {error} cannot be sent in the client's version of Native; use toString()",
            NOT_IMPLEMENTED,
        ) from error


def _content_type(format_name: str) -> str:
    if format_name.startswith("JSON"):
        return "application/json"
    if format_name.startswith(("CSV", "TabSeparated", "TSV", "Pretty", "Vertical")):
        return "text/plain"
    return "application/octet-stream"


def _printable(text: str) -> str:
    return "".join(c for c in text[:128] if c.isascii() and c.isprintable())
