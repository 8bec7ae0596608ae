"""What a call holds in memory counts for as long as it is held."""

import asyncio
from pathlib import Path

from proxy.config import LimitSettings
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import running, settings_for
from tests.helpers.records import until
from tests.helpers.wire import request, response


async def test_bodies_count_against_the_total_for_as_long_as_they_are_held(
    origin: RawOrigin, data_dir: Path
):
    go = asyncio.Event()
    body = b'{"model":"gpt-4o","messages":[]' + b" " * 4000 + b"}"

    async def hold_the_first(exchange: Exchange) -> None:
        if len(origin.requests) == 1:
            await go.wait()
        await exchange.send(response(b"ok"))

    origin.handler = hold_the_first
    limits = LimitSettings(request_buffers_total_bytes=5000)
    sent = request(b"/openai/v1/chat/completions", method=b"POST", body=body)
    async with running(settings_for(data_dir, origin, limits=limits)) as proxy:
        async with await proxy.connect() as client:
            await client.send(sent)
            await until(lambda: bool(origin.requests), "the first call is under way")
            assert (await proxy.call(sent)).status == 200
            go.set()
            assert (await client.response()).status == 200
        assert (await proxy.call(sent)).status == 200
        models = [each.open.model_requested for each in await proxy.ended(3)]
    assert models == ["gpt-4o", "", "gpt-4o"]
