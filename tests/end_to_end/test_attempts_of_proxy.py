"""Fallbacks and retries of the proxy as users of an official SDK see them, and after a crash between two attempts."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from proxy.config import RouteSettings, Settings
from proxy.config.structs import FallbackSettings
from proxy.judge.retries import RetrySettings
from proxy.judge.settings import PolicySettings
from tests.helpers import sse
from tests.helpers.counted import counted
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, process, running, settings_for
from tests.helpers.records import read_spool, until
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, response
from tests.proxy.test_attempting import JSON, answered, ask
from tests.proxy.test_fallbacks import dead

pytestmark = pytest.mark.blocking_allowed  # SDKs read certificates and the platform
BUSY = response(b'{"error":{"message":"busy"}}', JSON, (b"retry-after-ms", b"20"), status=b"503 Busy")  # fmt: skip
MESSAGES: Any = [{"role": "user", "content": "Hello."}]


def of_route(data_dir: Path, origin: RawOrigin, first_url: str = "", **policies: Any) -> Settings:  # fmt: skip
    """Try twice again, and fall back to the origin itself where the first is not reached."""
    routes = {
        "openai": RouteSettings(
            url=first_url or origin.url, provider="openai", retries=RetrySettings(most=2), fallback=(FallbackSettings("backup", key="none"),)
        ),
        "backup": RouteSettings(url=origin.url, provider="openai"),
    }  # fmt: skip
    made = msgspec.convert(policies, PolicySettings)
    return settings_for(data_dir, origin, routes=routes, policies=made, response_headers=True)  # fmt: skip


async def said(proxy: Proxy, stream: bool, **options: Any) -> tuple[str, str | None]:
    """Ask with the official SDK; give the text and the number of the attempt."""
    url = f"http://127.0.0.1:{proxy.port}/openai/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="k", **options) as client:
        raw: Any = client.chat.completions.with_raw_response
        answer = await raw.create(model="gpt-4o", messages=MESSAGES, stream=stream)
        parsed: Any = answer.parse()
        if not stream:
            return parsed.choices[0].message.content, answer.headers.get("x-tacho-attempt")  # fmt: skip
        texts = [each.choices[0].delta.content or "" async for each in parsed if each.choices]  # fmt: skip
        return "".join(texts), answer.headers.get("x-tacho-attempt")


async def answer(exchange: Exchange) -> None:
    if json.loads(exchange.request.body).get("stream"):
        events = [sse.openai_text("Hi."), sse.openai_text("", "stop"), sse.openai_usage(5, 7), sse.OPENAI_DONE]  # fmt: skip
        await exchange.send(STREAM_HEAD, *map(chunk, events), LAST_CHUNK)
    else:
        await exchange.send(answered("Hi."))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("failure", ["busy", "unreached", "open"])
async def test_the_sdk_sees_one_clean_answer(
    failure: str, stream: bool, origin: RawOrigin, data_dir: Path
):
    async def handler(exchange: Exchange) -> None:
        if failure == "busy" and len(origin.requests) < 3:
            await exchange.send(BUSY)
        else:
            await answer(exchange)

    origin.handler = handler
    breaker = {"breaker": {"mode": "enforce", "consecutive_failures": 1}} if failure == "open" else {}  # fmt: skip
    first = "" if failure == "busy" else dead()
    async with running(of_route(data_dir, origin, first, **breaker)) as proxy:
        if failure == "open":
            await said(
                proxy, stream, max_retries=0
            )  # its connect error opens the breaker
        before = 2 if failure == "open" else 0
        assert await said(proxy, stream, max_retries=0) == ("Hi.", "2" if failure == "busy" else "1")  # fmt: skip
        rows = (await proxy.ended(before + (3 if failure == "busy" else 2)))[before:]
        assert proxy.worker is not None
        retries = counted(proxy.worker.telemetry, "tacho_retries_total")
    assert [each.end.outcome for each in rows][-1] == "completed"
    assert [each.open.retry_layer for each in rows] == ["", *["proxy"] * (len(rows) - 1)]  # fmt: skip
    assert {labels[-1] for labels in retries} == {"proxy"}
    assert [each.close.cost.total() is None or each.close.cost.total() == 0 for each in rows] == [True] * (len(rows) - 1) + [False]  # fmt: skip
    assert rows[0].close.breaker_state == ("open" if failure == "open" else "closed")


async def test_the_sdks_own_retries_come_after_those_of_the_proxy(
    origin: RawOrigin, data_dir: Path
):
    async def handler(exchange: Exchange) -> None:
        await (exchange.send(BUSY) if len(origin.requests) < 5 else answer(exchange))

    origin.handler = handler
    async with running(of_route(data_dir, origin)) as proxy:
        assert await said(proxy, stream=False, max_retries=1) == ("Hi.", "4")
        rows = await proxy.ended(5)
    assert [(each.open.attempt, each.open.retry_layer) for each in rows] == [
        (0, ""), (1, "proxy"), (2, "proxy"), (3, "sdk"), (4, "proxy"),
    ]  # fmt: skip
    assert len({each.open.step_id for each in rows}) == 1


async def test_a_crash_between_two_attempts_leaves_what_was_known_of_each(
    origin: RawOrigin, data_dir: Path
):
    never = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        if len(origin.requests) == 1:
            await exchange.send(BUSY)
        else:
            await never.wait()

    origin.handler = handler
    settings = of_route(data_dir, origin)
    async with process(settings) as proxy:
        dying = asyncio.create_task(proxy.call(ask()))
        await until(
            lambda: len(origin.requests) == 2, "the second attempt is under way"
        )
        os.kill(proxy.pid, signal.SIGKILL)
        await asyncio.gather(dying, return_exceptions=True)
    first, second = read_spool(data_dir)[0]
    assert (first.end.outcome, first.close.http_status) == ("upstream_error", 503)
    assert (second.open.attempt, second.open.retry_layer) == (1, "proxy")
    assert (second.closes, second.ends) == ([], [])
    origin.handler = always(answered())
    async with process(settings) as proxy:
        assert (await proxy.call(ask((b"x-stainless-retry-count", b"1")))).status == 200
    third = read_spool(data_dir)[0][-1]
    assert (third.open.attempt, third.open.step_id) == (2, first.open.step_id)
    assert third.open.retry_layer == "sdk"


async def test_a_crash_while_the_proxy_waits_lets_the_agent_try_the_same_step_again(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(response(b"{}", JSON, (b"retry-after", b"9"), status=b"503 Busy"))  # fmt: skip
    settings = of_route(data_dir, origin)
    async with process(settings) as proxy:
        dying = asyncio.create_task(proxy.call(ask()))
        await until(lambda: any(each.closes for each in read_spool(data_dir)[0]), "the first attempt is closed")  # fmt: skip
        os.kill(proxy.pid, signal.SIGKILL)
        await asyncio.gather(dying, return_exceptions=True)
    (first,) = read_spool(data_dir)[0]
    assert (first.close.outcome, first.ends) == ("upstream_error", [])
    origin.handler = always(answered())
    async with process(settings) as proxy:
        # No word of the client: it is known as what failed.
        assert (await proxy.call(ask())).status == 200
    second = read_spool(data_dir)[0][-1]
    assert (second.open.step_id, second.open.attempt) == (first.open.step_id, 1)
    assert second.open.retry_layer == "app"
