"""Streams that would eat memory or the event loop: S09, S10 and S11, against a worker process whose memory is measured."""

import asyncio
import hashlib
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.config import TimeoutSettings
from tests.helpers import sse
from tests.helpers.client import RawClient
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, process, settings_for
from tests.helpers.wire import (
    LAST_CHUNK,
    STREAM_HEAD,
    WAIT_SECONDS,
    chunk,
    fields_of,
    request,
    response,
)

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def worker(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    """A worker process."""
    async with process(settings_for(data_dir, origin)) as proxy:
        yield proxy


@pytest.fixture
async def hasty_worker(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    """A worker process that gives an agent one second to read."""
    timeouts = TimeoutSettings(write_stall_seconds=1.0)
    async with process(settings_for(data_dir, origin, timeouts=timeouts)) as proxy:
        yield proxy


def of_2_gb(kind: bytes) -> bytes:
    fields = [(b"Content-Type", kind), (b"Content-Length", b"%d" % (2 * GIBIBYTE))]
    return b"HTTP/1.1 200 OK\r\n" + fields_of(fields) + b"\r\n"


FLOODS = {
    "tool": (request(b"/t/x"), b"application/octet-stream", b"x" * 65536),
    "llm-events": (
        sse.anthropic_ask(),
        b"text/event-stream",
        sse.anthropic_text("hello ") * 500,
    ),
    "llm-json": (
        sse.anthropic_ask(),
        b"application/json",
        b'{"content":"' + b"a" * 65536,
    ),
}


@pytest.mark.parametrize(("ask", "kind", "piece"), FLOODS.values(), ids=FLOODS.keys())
async def test_S10_an_agent_that_does_not_read_costs_little_memory_and_is_cut_off(
    ask: bytes, kind: bytes, piece: bytes, origin: RawOrigin, hasty_worker: Proxy
) -> None:
    pushed = 0
    gone = asyncio.Event()

    async def flood(exchange: Exchange) -> None:
        nonlocal pushed
        try:
            await exchange.send(of_2_gb(kind))
            while pushed < 2 * GIBIBYTE:
                await exchange.send(piece)
                pushed += len(piece)
        finally:
            gone.set()

    origin.handler = flood
    before = await hasty_worker.memory()
    async with await hasty_worker.connect(limit=1024, receive_buffer=4096) as client:
        await client.send(ask)
        async with asyncio.timeout(WAIT_SECONDS):
            await gone.wait()
        assert await hasty_worker.peak_memory() - before < 16 * MEBIBYTE
        assert pushed < 32 * MEBIBYTE
        end = (await hasty_worker.only()).end
        assert (end.outcome, end.error_type) == ("client_abort", "write_stall")
        received = await client.rest()
        assert len(received) < 32 * MEBIBYTE


@pytest.mark.parametrize(
    "ask", [sse.anthropic_ask(), sse.openai_ask()], ids=["anthropic", "openai"]
)
async def test_S11_a_line_of_50_mb_is_relayed_with_bounded_memory(
    ask: bytes, origin: RawOrigin, worker: Proxy
) -> None:
    piece = b"a" * 65536
    count = 800
    expected = hashlib.sha256(b"data: " + piece * count + b"\n\n").digest()

    async def endless_line(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(b"data: "))
        for _ in range(count):
            await exchange.send(chunk(piece))
        await exchange.send(chunk(b"\n\n"), LAST_CHUNK)

    origin.handler = endless_line
    before = await worker.memory()
    async with await worker.connect(record=False) as client:
        await client.send(ask)
        assert (await client.final_head()).status == 200
        digest = hashlib.sha256()
        while data := await client.chunk():
            digest.update(data)
    assert digest.digest() == expected
    assert await worker.peak_memory() - before < 32 * MEBIBYTE
    assert len((await worker.only()).ends) == 1


async def test_S11_a_bomb_is_relayed_as_it_is_and_inflated_within_bounds(
    origin: RawOrigin, worker: Proxy
) -> None:
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"data: " + b"0" * (MEBIBYTE - 6)
    bomb = b"".join(packer.compress(zeros) for _ in range(512)) + packer.flush()
    headers = [(b"Content-Type", b"text/event-stream"), (b"Content-Encoding", b"gzip")]
    origin.handler = always(response(bomb, *headers))
    await worker.call(request(b"/t/warm"))
    before = await worker.memory()
    answer = await worker.call(sse.anthropic_ask())
    assert answer.body == bomb
    assert await worker.peak_memory() - before < 32 * MEBIBYTE


def control_socket(data_dir: Path) -> str:
    """Give the path of the worker's control socket, which lies elsewhere when the data directory's path is long."""
    elsewhere = data_dir / "run" / "w0.path"
    return (
        elsewhere.read_text().strip()
        if elsewhere.exists()
        else str(data_dir / "run" / "w0.sock")
    )


def busy_seconds(pid: int) -> float:
    """Give for how long a process has had a processor: what it waited for one does not count."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def health(worker: Proxy) -> float:
    """Ask the worker's control socket for its health; give the seconds for which the worker was busy until it answered."""
    path = await asyncio.to_thread(control_socket, worker.data_dir)
    reader, writer = await asyncio.open_unix_connection(path)
    before = await asyncio.to_thread(busy_seconds, worker.pid)
    writer.write(
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    answer = await reader.readline()
    after = await asyncio.to_thread(busy_seconds, worker.pid)
    writer.transport.abort()
    assert b" 200 " in answer
    return after - before


async def test_S09_health_answers_while_30_large_streams_are_aborted_at_once(
    origin: RawOrigin, worker: Proxy
) -> None:
    count = 30
    gone = asyncio.Semaphore(0)

    async def stream(exchange: Exchange) -> None:
        try:
            await exchange.send(STREAM_HEAD)
            for _ in range(5 * MEBIBYTE // 65536):
                await exchange.send(chunk(sse.anthropic_text("x" * 65000)))
            await exchange.gone()
        finally:
            gone.release()

    origin.handler = stream
    async with AsyncExitStack() as stack:
        clients: list[RawClient] = []
        for _ in range(count):
            client = await stack.enter_async_context(await worker.connect(record=False))
            await client.send(sse.anthropic_ask())
            clients.append(client)
        for client in clients:
            assert (await client.final_head()).status == 200
        for client in clients:
            client.reset()
        busy = [await health(worker) for _ in range(100)]
        async with asyncio.timeout(WAIT_SECONDS):
            for _ in clients:
                await gone.acquire()
    assert sorted(busy)[94] < 0.05
    ends = [recorded.end.outcome for recorded in await worker.ended(count)]
    assert ends == ["client_abort"] * count
