"""Both directions of one exchange: the request to the provider, the answer to the agent.

What lives here: the order of things on the wire, what happens when either side fails, and whose fault that is. What does
not: what is metered or recorded; a `Watch` is told of everything that passes and says what the agent gets.

An answer that the upstream broke off reaches the agent broken off. An agent that leaves ends the upstream's connection.

What may be replaced by another attempt's answer is kept back: a whole answer (`keeps`), or the end of a stream (`Watch.wanted`). Who runs
the relay then either drops it, or has it given (`give`); it has been metered and closed either way.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from time import monotonic

from proxy.forward.agent import Agent
from proxy.forward.failures import (
    AgentGoneError,
    BodyMalformedError,
    BodyTimeoutError,
    UpstreamError,
    WriteStalledError,
)
from proxy.forward.http1 import AnswerHead
from proxy.forward.origin import UpstreamRequest
from proxy.forward.pool import Pool
from proxy.forward.upstream import UpstreamConnection
from proxy.forward.watch import Ending, Kept, Start, Watch, nothing
from proxy.forward.websocket import tunnel
from proxy.model import ErrorType, Outcome

_REFUSAL_BYTES = 64 << 10
_CONTINUE_SECONDS = 1.0
"""How long an agent that expects 100-continue waits for the upstream's word (RFC 9110 §10.1.1 lets it go on without)."""
_TIMEOUTS = frozenset(
    {ErrorType.CONNECT_TIMEOUT, ErrorType.TTFB_TIMEOUT, ErrorType.IDLE_TIMEOUT}
)

_WHOLE = Ending(Outcome.COMPLETED)


class Relay:
    """Carries one exchange."""

    def __init__(
        self,
        agent: Agent,
        pool: Pool,
        watch: Watch,
        keeps: Callable[[AnswerHead], int] = nothing,
    ) -> None:
        """`run` is called once. `keeps` says how many bytes an answer's body may have to be kept back whole; 0: it is passed on as it comes."""
        self._agent = agent
        self._pool = pool
        self._watch = watch
        self._keeps = keeps
        self._connection: UpstreamConnection | None = None
        self._continues = agent.started
        self._has_continued = False
        self.kept: Kept | None = None
        """What is kept back after `run`."""

    @property
    def has_given(self) -> bool:
        """Whether the agent has got something of this exchange."""
        return self._agent.started and (self._has_continued or not self._continues)

    async def run(self, request: UpstreamRequest) -> Ending:
        """Carry the exchange to its end; where the agent has got nothing of it (`has_given`), the caller answers."""
        return await self._ended(self._exchange(request))

    async def give(self) -> Ending:
        """Give the agent what is kept back: no other attempt's answer takes its place."""
        return await self._ended(self._give())

    async def _ended(self, work: Coroutine[None, None, Ending]) -> Ending:
        try:
            return await work
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
        if self.has_given:
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
            early = await self._read_whole(request, connection, _REFUSAL_BYTES)
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
            return _WHOLE
        if room := self._keeps(head):
            early += await self._read_whole(request, connection, room - len(early))
            if connection.finished and len(early) <= room:
                await self._keep(connection, head, early)
                return _WHOLE
            if self._continues:
                # The agent has the head of another answer, behind which this one cannot stand.
                raise UpstreamError(ErrorType.TOO_LARGE, "the answer cannot be kept")
        await self._copy(request, connection, head, early)
        self._release(connection)
        return _WHOLE

    async def _keep(
        self, connection: UpstreamConnection, head: AnswerHead, data: bytes
    ) -> None:
        """Meter and close an answer that the agent does not get yet."""
        watch = self._watch
        headers, framing = watch.answered(head, connection.first_byte_at or monotonic())
        passed = (watch.passed(data, connection) if data else b"") + watch.rest()
        await watch.close(_WHOLE, stands=False)
        self.kept = Kept(passed, (head.status, head.reason, headers, framing))
        self._release(connection)

    async def _give(self) -> Ending:
        agent, kept = self._agent, self.kept
        assert kept is not None
        self._begin(kept.head)
        if kept.data:
            await agent.write(kept.data)
        agent.finish()
        self._watch.delivered()
        return _WHOLE

    def _begin(self, head: Start | None) -> None:
        """Give the agent the head; where an earlier attempt's answer goes on with this one, it has one."""
        self._has_continued = self._continues
        if self._agent.has_unread_body:
            self._agent.close_after()
        if head is not None and not self._agent.started:
            self._agent.start(*head)
        self._watch.forwarded()

    async def _read_whole(
        self, request: UpstreamRequest, connection: UpstreamConnection, room: int
    ) -> bytes:
        """Read a body before its head is passed on: it decides whether the agent sees it at all. Less comes back where it breaks off."""
        body = bytearray()
        # Who copies what came meets the failure again, and the agent sees the same as without us.
        with contextlib.suppress(UpstreamError):
            while len(body) <= room:
                piece = await connection.read(request.limits.idle_seconds)
                body += piece
                if not piece:
                    break
        return bytes(body)

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
        if connection.finished and not data:
            await watch.close(_WHOLE)
        self._begin((head.status, head.reason, headers, framing))
        while True:
            if data:
                passed = watch.passed(data, connection)
                if over := watch.terminal or connection.finished:
                    await watch.close(_WHOLE, stands=watch.wanted is None)
                if passed:
                    await agent.write(passed)
                if over and watch.wanted is None:
                    watch.delivered()
            if connection.finished:
                break
            data = await connection.read(request.limits.idle_seconds)
        await watch.close(_WHOLE, stands=watch.wanted is None)
        await self._end(watch.rest())

    async def _end(self, rest: bytes) -> None:
        """Give the agent what was held back of a stream, unless another attempt's answer may take its place."""
        if self._watch.wanted is not None:
            self.kept = Kept(rest)
            return
        if rest:
            await self._agent.write(rest)
        self._agent.finish()
        self._watch.delivered()
