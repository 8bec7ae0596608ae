"""Promise 1 under load: H21 (cancels never cross answers), H22 (no hidden limit) and H23 (no total timeout)."""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.config import LimitSettings, RouteSettings, TimeoutSettings
from tests.helpers.client import RawClient
from tests.helpers.clock import PushedClock, on_asyncios_own_loop
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import until
from tests.helpers.wire import (
    LAST_CHUNK,
    STREAM_HEAD,
    CutError,
    Message,
    chunk,
    request,
    response,
)


def is_mute(number: int) -> bool:
    """Whether the origin never answers this one; it goes to the route that has little patience."""
    return number % 23 == 0


async def echo_the_id(exchange: Exchange) -> None:
    """Answer with the id of the request in the head and in every chunk, at a pace that depends on the id."""
    number = int(exchange.request.target[1:])
    dice = random.Random(number)
    if is_mute(number):
        return await exchange.gone()
    for _ in range(dice.randrange(4)):
        await asyncio.sleep(0)
    ident = b"<%d>" % number
    head = b"HTTP/1.1 200 OK\r\nX-Id: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % ident
    await exchange.send(head)
    for _ in range(dice.randrange(1, 6)):
        await exchange.send(chunk(ident))
        await asyncio.sleep(0)
    return await exchange.send(LAST_CHUNK)


async def one_call(
    client: RawClient, number: int, dice: random.Random
) -> Message | None:
    """Call; give the answer, or nothing after leaving in the middle."""
    ident = b"<%d>" % number
    route = b"hasty" if is_mute(number) else b"t"
    target = b"/%b/%d" % (route, number)
    await client.send(request(target, method=b"POST", body=ident))
    patience = dice.choice([None, None, 0, 1, 3, 10])
    if patience is not None:
        for _ in range(patience):
            await asyncio.sleep(0)
        client.reset() if dice.random() < 0.5 else client.leave()
        return None
    answer = await client.response()
    if is_mute(number):
        assert answer.status == 504
        return answer
    assert answer.status == 200
    assert answer.get(b"x-id") == ident
    assert answer.body == ident * (len(answer.body) // len(ident))
    return answer


async def agent(proxy: Proxy, numbers: list[int]) -> Counter[int]:
    """Make these calls; give how many were answered with which status."""
    dice = random.Random(numbers[0])
    client: RawClient | None = None
    answered: Counter[int] = Counter()
    for number in numbers:
        client = client or await proxy.connect()
        if answer := await one_call(client, number, dice):
            answered[answer.status] += 1
        else:
            client = None
    if client:
        client.leave()
    return answered


async def random_cancels(
    proxy: Proxy, origin: RawOrigin, count: int, agents: int = 50
) -> None:
    origin.handler = echo_the_id
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(agent(proxy, list(range(i + 1, count + 1, agents))))
            for i in range(agents)
        ]
    answered = sum((task.result() for task in tasks), Counter[int]())
    seen = [request.target for request in origin.requests]
    assert len(seen) == len(set(seen))
    for message in origin.completed:
        assert message.body == b"<%b>" % message.target[1:]
    exchanges = await proxy.all_ended()
    assert len(exchanges) >= len(seen)
    outcomes = Counter(str(e.end.outcome) for e in exchanges)
    assert answered[200] > count / 4
    assert outcomes["completed"] >= answered[200]
    assert outcomes["timeout"] >= answered[504] > 0
    assert outcomes["client_abort"] > count / 4
    shapes = {(len(e.opens), len(e.closes), len(e.ends)) for e in exchanges}
    assert shapes == {(1, 1, 1)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.big)])
async def test_H21_random_cancels_and_timeouts_never_cross_answers(
    count: int, origin: RawOrigin, data_dir: Path
) -> None:
    hasty = RouteSettings(url=origin.url, kind="tool", first_byte_timeout_seconds=0.5)
    settings = settings_for(data_dir, origin, routes={"hasty": hasty})
    async with running(settings) as proxy:
        await random_cancels(proxy, origin, count)


async def all_progress(proxy: Proxy, origin: RawOrigin, count: int) -> None:
    """Every stream is open at the origin before the first event of any is sent."""
    everybody = asyncio.Barrier(count)

    async def stream(exchange: Exchange) -> None:
        await everybody.wait()
        ident = exchange.request.target
        await exchange.send(STREAM_HEAD, chunk(b"data: " + ident + b"\n\n"), LAST_CHUNK)

    async def follow(number: int) -> None:
        async with await proxy.connect() as client:
            answer = await client.call(request(b"/t/%d" % number))
            assert answer.body == b"data: /%d\n\n" % number

    origin.handler = stream
    async with asyncio.TaskGroup() as group:
        calls: list[Coroutine[None, None, None]] = [
            follow(number) for number in range(count)
        ]
        for call in calls:
            group.create_task(call)
    assert len(origin.requests) == count


@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [300, pytest.param(1000, marks=pytest.mark.big)])
async def test_H22_many_concurrent_streams_all_make_progress(
    count: int, origin: RawOrigin, proxy: Proxy
) -> None:
    await all_progress(proxy, origin, count)


async def hours_of_events(origin: RawOrigin, proxy: Proxy) -> None:
    turn = asyncio.Semaphore(0)
    event = b"data: tick\n\n"
    count = 60

    async def tick(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD)
        for _ in range(count):
            await turn.acquire()
            await exchange.send(chunk(event))
        await exchange.send(LAST_CHUNK)

    origin.handler = tick
    async with await proxy.connect() as client:
        await client.send(request(b"/t/x"))
        assert (await client.final_head()).status == 200
        with PushedClock() as clock:
            for _ in range(count):
                await clock.advance(120)
                turn.release()
                assert await client.chunk() == event
        assert await client.chunk() == b""
    assert (await proxy.only()).end.outcome == "completed"


def test_H23_a_stream_of_hours_is_cut_by_no_total_timeout(data_dir: Path) -> None:
    async def main() -> None:
        async with (
            RawOrigin() as origin,
            running(settings_for(data_dir, origin)) as proxy,
        ):
            await hours_of_events(origin, proxy)

    on_asyncios_own_loop(main())


def test_H23_the_pushed_clock_is_the_one_that_limits_hang_on(data_dir: Path) -> None:
    async def fall_silent(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(b"data: tick\n\n"))
        await exchange.gone()

    async def main() -> None:
        async with (
            RawOrigin(fall_silent) as origin,
            running(settings_for(data_dir, origin)) as proxy,
        ):
            async with await proxy.connect() as client:
                await client.send(request(b"/t/x"))
                assert (await client.final_head()).status == 200
                await client.chunk()
                with PushedClock() as clock:
                    await clock.advance(601)
                    await until(
                        lambda: client.reader.at_eof(),
                        "the agent's connection is closed",
                    )
                assert LAST_CHUNK not in client.raw
            end = (await proxy.only()).end
            assert (end.outcome, end.error_type) == ("timeout", "idle_timeout")

    on_asyncios_own_loop(main())


async def test_H23_the_idle_limit_ends_a_stream_that_falls_silent(
    origin: RawOrigin, data_dir: Path
) -> None:
    async def fall_silent(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(b"data: tick\n\n"))
        await exchange.gone()

    origin.handler = fall_silent
    async with running(
        settings_for(data_dir, origin, timeouts=TimeoutSettings(idle_seconds=0.3))
    ) as proxy:
        async with await proxy.connect() as client:
            with pytest.raises(CutError):
                await client.call(request(b"/t/x"))
            assert not client.raw.endswith(LAST_CHUNK)
        end = (await proxy.only()).end
    assert (end.outcome, end.error_type) == ("timeout", "idle_timeout")


def test_H23_steady_events_outlive_the_idle_limit_many_times_over(
    data_dir: Path,
) -> None:
    async def main() -> None:
        times = TimeoutSettings(idle_seconds=150)
        async with (
            RawOrigin() as origin,
            running(settings_for(data_dir, origin, timeouts=times)) as proxy,
        ):
            await hours_of_events(origin, proxy)

    on_asyncios_own_loop(main())


async def test_H22_calls_beyond_the_admission_limit_get_503_and_later_ones_pass(
    origin: RawOrigin, data_dir: Path
) -> None:
    release = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        await release.wait()
        await exchange.send(response(b"done"))

    origin.handler = wait
    settings = settings_for(data_dir, origin, limits=LimitSettings(max_inflight=2))
    async with running(settings) as proxy, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(await proxy.connect()) for _ in range(3)
        ]
        for client in clients[:2]:
            await client.send(request(b"/t/x"))
        await until(lambda: len(origin.requests) == 2, "both calls are at the origin")
        refused = await clients[2].call(request(b"/t/x"))
        assert (refused.status, refused.get(b"x-tacho-error")) == (503, b"admission")
        release.set()
        assert [(await client.response()).status for client in clients[:2]] == [
            200,
            200,
        ]
        assert (await clients[2].call(request(b"/t/x"))).status == 200
