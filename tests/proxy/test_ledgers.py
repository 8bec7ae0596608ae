"""How the account of an attempt is begun."""

from pathlib import Path

import pytest

from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import until
from tests.helpers.wire import request, response


async def test_those_under_way_are_counted_until_their_rows_are_whole(
    origin: RawOrigin, proxy: Proxy
):
    assert proxy.worker is not None
    pipeline = proxy.worker.pipeline
    seen: list[int] = []

    async def handler(exchange: Exchange) -> None:
        seen.append(len(pipeline.under_way()))
        await exchange.send(response(b"ok"))

    origin.handler = handler
    await proxy.call(request(b"/t/x"))
    await until(lambda: not pipeline.under_way(), "the call is over")
    (row,) = await proxy.ended(1)
    assert (seen, row.open.inflight) == ([1], 0)


@pytest.mark.parametrize("prefix", [b"", b"/run/r1"])
async def test_what_is_altered_stands_in_the_row(
    prefix: bytes, origin: RawOrigin, data_dir: Path
):
    origin.handler = always(response(b"ok"))
    async with running(settings_for(data_dir, origin)) as proxy:
        await proxy.call(request(prefix + b"/t/x"))
        (row,) = await proxy.ended(1)
    assert row.close.altered == ("path_prefix",)
