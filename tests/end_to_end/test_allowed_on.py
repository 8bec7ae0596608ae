"""A run that was stopped is allowed on, gets the same again, and is stopped again: through workers, restarts and the command line.

What lives here: what agents see, what the port of the admin and the command say, and what rows and metrics tell. What does not: who is
meant by a name (`tests/proxy/test_allowing.py`), accounts (`tests/proxy/state`).
"""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.allowance import PATH
from proxy.control_client import ControlClient
from tests.end_to_end.test_governors import (  # fmt: skip
    JSON,
    answer,
    ask,
    governed,
    statuses,
    verdicts_of,
)
from tests.helpers.installation import Installation, await_that, tacho
from tests.helpers.origin import RawOrigin, always
from tests.helpers.proxy import Proxy, process, running
from tests.helpers.records import read_spool
from tests.helpers.redis import RedisServer, real_redis
from tests.helpers.stack import origin_in_a_thread
from tests.helpers.wire import Message, request

CAPPED = {"mode": "enforce", "steps": 3}


async def until_refused(proxy: Proxy, run: str, first: int = 0) -> int:
    """Ask until it is refused; give how many times it was not."""
    for number in range(50):
        found = await proxy.call(ask(run, first + number))
        if found.status != 200:
            assert found.status == 400
            assert f"`tacho allow {run}`" in json.loads(found.body)["error"]["message"]
            return number
    raise AssertionError("it goes on for ever")


async def allowed(proxy: Proxy, **wish: Any) -> tuple[int, Any]:
    """Let a run go on at the worker in this event loop."""
    assert proxy.worker is not None
    return await proxy.worker.allowing.take(json.dumps(wish).encode())


async def test_a_run_at_its_cap_goes_on_for_as_many_steps_again_and_no_more(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    async with running(governed(data_dir, origin, caps=CAPPED)) as proxy:
        assert [await until_refused(proxy, run) for run in ("r1", "r2")] == [3, 3]
        assert (await allowed(proxy, run="r1", id="w"))[0] == 200
        assert [await until_refused(proxy, run) for run in ("r1", "r2")] == [3, 0]
        assert (await allowed(proxy, run="r1", id="w"))[0] == 200  # sent again
        assert await until_refused(proxy, "r1") == 0
        assert (await allowed(proxy, run="r1"))[0] == 200
        assert statuses(await asyncio.gather(*(proxy.call(ask("r1", n)) for n in range(20)))) == {200: 3, 400: 17}  # fmt: skip
        assert (await allowed(proxy, run="nobody"))[0] == 404
        assert verdicts_of(proxy)[("allow", "allow")] == 2
    _, events = await asyncio.to_thread(read_spool, data_dir)
    told = [(each.type, each.policy, each.run_id) for each in events if each.action == "allow"]  # fmt: skip
    assert told == [("cap", "allow", "r1")] * 2


def turn(run: str, count: int) -> bytes:
    """Ask as an agent does that makes the same call again and again, with its whole history."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Find it."}]
    for number in range(count):
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "search", "arguments": '{"q":"x"}'}}  # fmt: skip
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": f"nothing {number}"})  # fmt: skip
    body = json.dumps({"model": "gpt-4o", "messages": messages}).encode()
    return request(f"/run/{run}/openai/v1/chat/completions".encode(), JSON, method=b"POST", body=body)  # fmt: skip


async def test_a_run_in_a_loop_goes_on_for_as_long_again(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    settings = governed(data_dir, origin, repeat={"mode": "enforce", "warn": None, "block": 4})  # fmt: skip
    async with running(settings) as proxy:

        async def refused_at(first: int) -> int:
            for count in range(first, first + 20):
                found = await proxy.call(turn("r1", count))
                if found.status != 200:
                    said = json.loads(found.body)["error"]["message"]
                    assert "times in a row; to let it go on: `tacho allow r1`" in said
                    return count
            raise AssertionError("it goes on for ever")

        assert await refused_at(1) == 4
        assert await refused_at(4) == 4
        await allowed(proxy, run="r1")
        # The result that was refused counts once more: it is the first of four.
        assert await refused_at(4) == 7


async def test_a_session_at_its_cap_goes_on_though_its_new_runs_never_began(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    settings = governed(data_dir, origin, caps={"mode": "enforce", "session": {"steps": 2}})  # fmt: skip
    session = (b"x-tacho-session", b"s1")
    async with running(settings) as proxy:

        async def at(run: str) -> Message:
            body = ask(run, 1).partition(b"\r\n\r\n")[2]
            path = f"/run/{run}/openai/v1/chat/completions".encode()
            return await proxy.call(request(path, JSON, session, method=b"POST", body=body))  # fmt: skip

        assert statuses([await at("r1") for _ in range(3)]) == {200: 2, 400: 1}
        refused = await at("r2")  # it has not begun
        assert b"`tacho allow s1 --session`" in refused.body
        assert (await allowed(proxy, run="r2"))[0] == 404
        assert (await allowed(proxy, run="r1"))[0] == 200  # that is not its session
        assert (await at("r1")).status == 400
        assert (await allowed(proxy, run="s1", session=True))[0] == 200
        assert statuses([await at("r2") for _ in range(3)]) == {200: 2, 400: 1}


async def test_an_allowance_outlives_kill_9_and_so_does_what_was_used_of_it(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    settings = governed(data_dir, origin, caps=CAPPED)
    wish = {"run": "r1", "id": "w"}
    async with process(settings) as proxy:
        assert await until_refused(proxy, "r1") == 3
        client = ControlClient(data_dir, "w0")
        status, said = await client.exchange("POST", PATH, 60.0, wish)
        assert (status, said["recorded"]) == (200, True)
        assert (await proxy.call(ask("r1", 9))).status == 200
        os.kill(proxy.pid, signal.SIGKILL)
    async with process(settings) as proxy:
        status, _ = await ControlClient(data_dir, "w0").exchange("POST", PATH, 60.0, wish)  # fmt: skip
        assert status == 200  # the same wish: no more than what is left of it
        assert await until_refused(proxy, "r1", 10) == 2


def call(product: Installation, run: str, number: int) -> tuple[int, str]:
    """Call through the data port of the whole product; give the status and the whole answer."""

    async def once() -> Message:
        proxy = Proxy(product.port, product.data_dir)
        return await proxy.call(ask(run, number))

    found = asyncio.run(once())
    return found.status, found.body.decode()


def counted(product: Installation, run: str) -> int:
    """Ask until it is refused; give how many times it was not."""
    for number in range(50):
        status, body = call(product, run, number)
        if status != 200:
            assert (status, f"`tacho allow {run}`" in body) == (400, True), body
            return number
    raise AssertionError("it goes on for ever")


def posted(product: Installation, body: bytes) -> tuple[int, Any]:
    """Send a wish to the admin port as curl does."""
    status, said = product.admin("/allow", body)
    return status, json.loads(said)


@pytest.mark.blocking_allowed
def test_the_command_and_the_admin_port_let_a_run_go_on(tmp_path: Path):
    with origin_in_a_thread(always(answer())) as origin:
        product = Installation(tmp_path, origin.url, policies={"caps": CAPPED})
        try:
            product.start("proxy")
            assert counted(product, "r1") == 3
            said = tacho(product.config, "allow", "r1")
            assert (said.returncode, said.stderr) == (0, "")
            assert said.stdout == "run r1 of tenant default may go on: the same limits, with nothing used up\n"  # fmt: skip
            assert counted(product, "r1") == 3
            assert posted(product, b'{"run":"r1"}')[0] == 200
            assert counted(product, "r1") == 3
            assert posted(product, b'{"run":"r2"}')[0] == 404
            assert posted(product, b"run=r1")[0] == 400
            said = tacho(product.config, "allow", "r2")
            assert (said.returncode, "no run that lives is called r2" in said.stderr) == (1, True)  # fmt: skip
            assert product.counters("tacho_verdicts_total", "action")["allow"] == 2
            assert product.stop() == 0
            said = tacho(product.config, "allow", "r1")
            assert (said.returncode, "not running" in said.stderr) == (1, True)
        finally:
            product.end()


@pytest.fixture
def redis(tool, tmp_path: Path) -> Iterator[RedisServer]:
    place = tmp_path / "redis"
    place.mkdir()
    with real_redis(tool("redis-server"), place) as server:
        yield server


@pytest.mark.big
@pytest.mark.blocking_allowed
@pytest.mark.timeout(300)
def test_two_workers_on_redis_give_the_same_again_once_whoever_dies(tmp_path: Path, redis: RedisServer):  # fmt: skip
    settings = {
        "workers": 2, "state": redis.url, "secret": "one-for-all-replicas", "state_wait_ms": 10_000,
        "policies": {"backstop": {"steps": 3}},
    }  # fmt: skip
    with origin_in_a_thread(always(answer())) as origin:
        product = Installation(tmp_path, origin.url, **settings)
        try:
            product.start()
            assert at_once(product, "r1", 20) == 3
            wish = b'{"run":"r1","id":"w"}'
            assert posted(product, wish)[0] == 200
            assert at_once(product, "r1", 20) == 3
            for name in ("w0", "w1"):
                product.kill(name)
                product.running(name)
            assert posted(product, wish)[0] == 200  # the same again, to another life
            assert at_once(product, "r1", 20) == 0
            assert tacho(product.config, "allow", "r1").returncode == 0
            product.kill("w0")
            assert at_once(product, "r1", 20) == 3
            told = await_that(lambda: events(product), "three rows of events")
            assert {(each["type"], each["policy"], each["run_id"]) for each in told} == {("cap", "allow", "r1")}  # fmt: skip
            assert product.stop() == 0
        finally:
            product.end()


def at_once(product: Installation, run: str, count: int) -> int:
    """Make so many calls at the same time; give how many of them passed. One that died with its worker is made again."""
    passed: list[int] = []

    def once(number: int) -> None:
        status = await_that(lambda: answered(product, run, number), "an answer")
        passed.append(status)

    threads = [threading.Thread(target=once, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(passed) == count
    return passed.count(200)


def answered(product: Installation, run: str, number: int) -> int:
    try:
        return call(product, run, number)[0]
    except (OSError, EOFError):
        return 0


def events(product: Installation) -> list[dict[str, Any]]:
    found = product.rows("SELECT type, policy, run_id FROM events WHERE action = 'allow'")  # fmt: skip
    return found if len(found) >= 3 else []
