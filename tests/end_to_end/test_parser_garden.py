"""Requests on which servers have disagreed: P01, the table of `tests/helpers/garden.py` with its frozen verdicts."""

import pytest

from tests.helpers.garden import PAYLOADS, SMUGGLED, Served, Verdict
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.wire import request


def test_P01_the_table_has_at_least_75_payloads() -> None:
    assert len(PAYLOADS) >= 75


@pytest.mark.parametrize(("payload", "verdict"), PAYLOADS.values(), ids=PAYLOADS.keys())
async def test_P01_a_disputed_request_is_refused_or_harmless(
    payload: bytes, verdict: Verdict, origin: RawOrigin, proxy: Proxy
) -> None:
    async with await proxy.connect() as client:
        await client.send(payload)
        if isinstance(verdict, Served):
            for _ in verdict.targets:
                assert (await client.response()).status == 200
        else:
            assert (await client.response()).status == 400
            assert await client.rest() == b""
    targets = list(verdict.targets) if verdict else []
    assert [seen.target for seen in origin.completed] == targets
    assert all(
        SMUGGLED.removeprefix(b"/t") not in seen.start for seen in origin.requests
    )
    if verdict and verdict.body is not None:
        assert origin.requests[0].body == verdict.body


async def test_P01_the_proxy_serves_on_after_all_of_them(
    origin: RawOrigin, proxy: Proxy
) -> None:
    for payload, _ in PAYLOADS.values():
        async with await proxy.connect() as client:
            await client.send(payload)
    assert (await proxy.call(request(b"/t/after"))).status == 200
