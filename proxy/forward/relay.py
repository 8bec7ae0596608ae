"""Both directions of one exchange: the request to the provider, the answer to the agent.

What lives here: the order of things on the wire, what happens when either side fails, and whose fault that is. What does
not: what is metered or recorded; a `Watch` is told of everything that passes and says what the agent gets.

An answer that the upstream broke off reaches the agent broken off. An agent that leaves ends the upstream's connection.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

from proxy.forward.agent import Agent
from proxy.forward.failures import (
    AgentGoneError,
    BodyMalformedError,
    BodyTimeoutError,
    UpstreamError,
    WriteStalledError,
)
from proxy.forward.http1 import AnswerHead, Framing
from proxy.forward.origin import Limits, Origin
from proxy.forward.pool import Pool
from proxy.forward.upstream import UpstreamConnection
from proxy.forward.websocket import tunnel
from proxy.model import ErrorType, Outcome

_REFUSAL_BYTES = 64 << 10
_CONTINUE_SECONDS = 1.0
"""How long an agent that expects 100-continue waits for the upstream's word (RFC 9110 §10.1.1 lets it go on without)."""
_TIMEOUTS = frozenset(
    {ErrorType.CONNECT_TIMEOUT, ErrorType.TTFB_TIMEOUT, ErrorType.IDLE_TIMEOUT}
)


@dataclass(slots=True, frozen=True)
class Ending:
    """How an exchange ended, and what to tell an agent that has not been answered yet."""

    outcome: Outcome
    error_type: ErrorType = ErrorType.NONE
    message: str = ""


@dataclass(slots=True, frozen=True)
class UpstreamRequest:
    """What goes to the provider."""

    origin: Origin
    limits: Limits
    method: bytes
    head: bytes
    body: bytes = b""
    """All of the body, or what of it was read before it was found to be too large."""
    more: bool = False
    """The rest of the body is still with the agent and is sent as it comes."""
    chunked: bool = False
    upgrade: bool = False
    """The agent asks for another protocol and the route allows it."""
    plain_head: bytes | None = None
    plain_body: bytes = b""
    """The agent's own request, where `head` and `body` were altered and the upstream may refuse that."""

    def altered(self, head: bytes, body: bytes) -> "UpstreamRequest":
        """Give the request with another head and body; the agent's own stay with it."""
        return replace(
            self, head=head, body=body, plain_head=self.head, plain_body=self.body
        )


class Watch(Protocol):
    """Who is told what passes. Calls come in this order; none may raise but as told."""

    def connected(self, seconds: float | None) -> None:
        """A connection was had after `seconds` (`None`: reused)."""

    def sent(self, size: int) -> None:
        """The request, or a further piece of its body, was handed to the connection."""

    def refused(self, status: int, body: bytes) -> bool:
        """Whether this answer refuses the alteration, so that the agent's own request is to be sent."""

    def answered(
        self, head: AnswerHead, first_byte_at: float
    ) -> tuple[Sequence[tuple[bytes, bytes]], Framing]:
        """Take the head; give the headers for the agent and how the body's end is told to it."""

    def forwarded(self) -> None:
        """The head was written to the agent."""

    def passed(self, data: bytes, connection: UpstreamConnection) -> bytes:
        """Take a piece of the body; give what the agent gets for it."""

    @property
    def terminal(self) -> bool:
        """Whether the terminal event has passed."""

    async def close(self, ending: Ending) -> None:
        """Write what is known; called before the terminal event or last byte goes to the agent. May be called again."""

    def delivered(self) -> None:
        """What `close` was called for has been given to the agent."""

    def tunnelled(self, from_agent: int, from_upstream: int) -> None:
        """So many bytes passed each way on an upgraded connection."""

    def rest(self) -> bytes:
        """Give what was held back, at the end of the body."""


class Relay:
    """Carries one exchange."""

    def __init__(self, agent: Agent, pool: Pool, watch: Watch) -> None:
        """`run` is called once."""
        self._agent = agent
        self._pool = pool
        self._watch = watch
        self._connection: UpstreamConnection | None = None

    async def run(self, request: UpstreamRequest) -> Ending:
        """Carry the exchange to its end; when the agent has not been answered (`agent.started`), the caller does that."""
        try:
            return await self._exchange(request)
        except UpstreamError as error:
            return self._upstream_failed(error)
        except (AgentGoneError, WriteStalledError) as error:
            self._drop()
            stalled = isinstance(error, WriteStalledError)
            if stalled:
                self._agent.reset()
            return Ending(
                Outcome.CLIENT_ABORT,
                ErrorType.WRITE_STALL if stalled else ErrorType.NONE,
            )
        except BodyTimeoutError as error:
            return Ending(Outcome.CLIENT_ABORT, ErrorType.BODY_TIMEOUT, str(error))
        except BodyMalformedError as error:
            return Ending(Outcome.CLIENT_ABORT, ErrorType.INVALID_REQUEST, str(error))
        finally:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def _upstream_failed(self, error: UpstreamError) -> Ending:
        if self._agent.started:
            self._agent.cut()
        if error.error_type in _TIMEOUTS:
            outcome = Outcome.TIMEOUT
        elif error.error_type is ErrorType.CUT:
            outcome = Outcome.UPSTREAM_ABORT
        else:
            outcome = Outcome.UPSTREAM_ERROR
        return Ending(outcome, error.error_type, str(error))

    async def _exchange(self, request: UpstreamRequest) -> Ending:
        connection = await self._send(request, request.head, request.body)
        if not request.more:
            return await self._answer(request, connection)
        # The upstream may answer (a refusal, say) before it has the whole body: both directions at once.
        failures: list[Exception] = []
        ending: Ending | None = None
        async with asyncio.TaskGroup() as group:
            upload = group.create_task(
                self._upload(request, connection, failures), name="upload"
            )
            try:
                ending = await self._answer(request, connection)
            except (UpstreamError, AgentGoneError, WriteStalledError) as error:
                # Kept, not raised: a task group wraps what is raised inside it.
                failures.append(error)
            upload.cancel()
        if ending is None:
            raise failures[0]
        return ending

    async def _send(
        self, request: UpstreamRequest, head: bytes, body: bytes
    ) -> UpstreamConnection:
        connection, seconds = await self._pool.take(request.origin, request.limits)
        self._connection = connection
        self._watch.connected(seconds)
        connection.begin(request.method, request.limits, allow_upgrade=request.upgrade)
        if body and request.chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body)
        if request.chunked and not request.more:
            body += b"0\r\n\r\n"
        connection.write(head + body if len(body) < _REFUSAL_BYTES else head)
        if len(body) >= _REFUSAL_BYTES:
            connection.write(body)
        connection.request_sent = not request.more
        self._watch.sent(len(body))
        return connection

    async def _upload(
        self,
        request: UpstreamRequest,
        connection: UpstreamConnection,
        failures: list[Exception],
    ) -> None:
        """Send the rest of the body; a failure of the agent's side ends the upstream's, which `_answer` then sees."""
        if self._agent.expects_continue and not await connection.wants_body(
            _CONTINUE_SECONDS
        ):
            return
        self._agent.ask_for_body()
        try:
            while piece := await self._agent.read_body():
                connection.write(
                    b"%x\r\n%b\r\n" % (len(piece), piece) if request.chunked else piece
                )
                self._watch.sent(len(piece))
                await connection.drain()
            if request.chunked:
                connection.write(b"0\r\n\r\n")
            connection.request_sent = True
        except (BodyTimeoutError, BodyMalformedError, AgentGoneError) as error:
            failures.append(error)
            connection.abort()

    async def _answer(
        self, request: UpstreamRequest, connection: UpstreamConnection
    ) -> Ending:
        head = await connection.head(request.limits.first_byte_seconds)
        early = b""
        if request.plain_head is not None and head.status in (400, 422):
            early = await self._read_refusal(request, connection)
            if self._watch.refused(head.status, early):
                self._release(connection)
                connection = await self._send(
                    request, request.plain_head, request.plain_body
                )
                head, early = (
                    await connection.head(request.limits.first_byte_seconds),
                    b"",
                )
        if head.status == 101:
            self._watch.answered(head, connection.first_byte_at or monotonic())
            patience = request.limits.idle_seconds
            await tunnel(self._agent, connection, head, self._watch.tunnelled, patience)
            self._agent.close()
            return Ending(Outcome.COMPLETED)
        await self._copy(request, connection, head, early)
        self._release(connection)
        return Ending(Outcome.COMPLETED)

    async def _read_refusal(
        self, request: UpstreamRequest, connection: UpstreamConnection
    ) -> bytes:
        """Read an error body before its head is passed on: it decides whether the agent sees it at all."""
        body = b""
        while len(body) < _REFUSAL_BYTES:
            piece = await connection.read(request.limits.idle_seconds)
            body += piece
            if not piece:
                break
        return body

    def _release(self, connection: UpstreamConnection) -> None:
        self._connection = None
        self._pool.give_back(connection)

    async def _copy(
        self,
        request: UpstreamRequest,
        connection: UpstreamConnection,
        head: AnswerHead,
        data: bytes,
    ) -> None:
        agent, watch = self._agent, self._watch
        headers, framing = watch.answered(head, connection.first_byte_at or monotonic())
        whole = Ending(Outcome.COMPLETED)
        if connection.finished and not data:
            await watch.close(whole)
        if agent.has_unread_body:
            agent.close_after()
        agent.start(head.status, head.reason, headers, framing)
        watch.forwarded()
        while True:
            if data:
                passed = watch.passed(data, connection)
                if over := watch.terminal or connection.finished:
                    await watch.close(whole)
                if passed:
                    await agent.write(passed)
                if over:
                    watch.delivered()
            if connection.finished:
                break
            data = await connection.read(request.limits.idle_seconds)
        await watch.close(whole)
        if rest := watch.rest():
            await agent.write(rest)
        agent.finish()
        watch.delivered()
