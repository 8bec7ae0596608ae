"""The official SDKs with nothing changed but the base URL, against an upstream that says what a provider once said.

What lives here: each recorded kind of call, sync and async: the same result as without the proxy, the same request at the
upstream, and one row with the provider's numbers. What does not: errors and cuts (`test_sdk_errors.py`), injection.
"""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from exporters.enrich.rows import step_rows
from proxy.model import UsageSource
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET
from tests.helpers.records import Recorded
from tests.helpers.replay import Playback, Player, Tape, tapes
from tests.helpers.said import BUCKETS, said_buckets
from tests.helpers.sdk import (
    Seen,
    arguments,
    async_client_for,
    client_for,
    method_for,
    see,
    see_async,
)
from tests.helpers.wire import Message

pytestmark = [
    # An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning"),
]
APIS = {
    "openai": ("chat", "responses", "completions", "embeddings"),
    "anthropic": ("messages",),
}


def _is_for_an_sdk(name: str, tape: Tape) -> bool:
    """Leave out what today's SDKs cannot ask for or read, and two recordings whose answers do not fit their requests."""
    if tape.api not in APIS[name] or not tape.body:
        return False
    return tape.status >= 400 or tape.streamed == bool(tape.asked.get("stream"))


def _groups() -> dict[str, tuple[str, list[Tape]]]:
    """Sort the recordings by provider, API and sort of answer."""
    groups: dict[str, tuple[str, list[Tape]]] = {}
    for name in ("openai", "anthropic"):
        for tape in tapes(SUBSET, name):
            if not _is_for_an_sdk(name, tape):
                continue
            sort = (
                "error"
                if tape.status >= 400
                else "stream"
                if tape.streamed
                else "whole"
            )
            sort += "-tools" if tape.asked.get("tools") else ""
            groups.setdefault(f"{name}-{tape.api}-{sort}", (name, []))[1].append(tape)
    return groups


GROUPS = _groups()
grouped = pytest.mark.parametrize(("name", "played"), GROUPS.values(), ids=GROUPS)


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
async def origin(player: Player) -> AsyncIterator[RawOrigin]:
    async with RawOrigin(player) as origin:
        yield origin


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    settings = msgspec.structs.replace(
        settings_for(data_dir, origin), response_headers=True
    )
    async with running(settings) as proxy:
        yield proxy


@grouped
async def test_the_sync_sdk_sees_what_it_would_see_without_the_proxy(
    name: str, played: list[Tape], origin: RawOrigin, proxy: Proxy, player: Player
):
    def call(url: str, tape: Tape) -> Seen:
        with client_for(name, url) as client:
            method = method_for(client, tape)
            return see(lambda: method(**arguments(method, tape)))

    for tape in played:
        player.playing = Playback(tape)
        direct = await asyncio.to_thread(call, origin.url, tape)
        proxied = await asyncio.to_thread(
            call, f"http://127.0.0.1:{proxy.port}/{name}", tape
        )
        _assert_same(tape, direct, proxied, origin.requests[-2:])
    _assert_rows(played, await proxy.ended(len(played)))


@grouped
async def test_the_async_sdk_sees_what_it_would_see_without_the_proxy(
    name: str, played: list[Tape], origin: RawOrigin, proxy: Proxy, player: Player
):
    async def call(url: str, tape: Tape) -> Seen:
        async with async_client_for(name, url) as client:
            method = method_for(client, tape)
            return await see_async(lambda: method(**arguments(method, tape)))

    for tape in played:
        player.playing = Playback(tape)
        direct = await call(origin.url, tape)
        proxied = await call(f"http://127.0.0.1:{proxy.port}/{name}", tape)
        _assert_same(tape, direct, proxied, origin.requests[-2:])
    _assert_rows(played, await proxy.ended(len(played)))


def _assert_same(
    tape: Tape, direct: Seen, proxied: Seen, requests: list[Message]
) -> None:
    assert proxied == direct, tape.id
    assert ("error" in direct) == (tape.status >= 400), direct
    asked, passed = requests
    injected = passed.body != asked.body
    assert not injected or (tape.asked["stream"] and tape.path.endswith("/completions"))
    changed = {b"host", b"connection"} | (
        {b"accept-encoding", b"content-length"} if injected else set()
    )
    assert (asked.start, asked.without(*changed)) == (
        passed.start,
        passed.without(*changed),
    )


def _assert_rows(played: list[Tape], recorded: list[Recorded]) -> None:
    assert len(recorded) == len(played)
    for tape, exchange in zip(played, recorded, strict=True):
        (row,) = step_rows(exchange.open, exchange.close, exchange.end)
        said = said_buckets(tape)
        assert (row.part, row.http_status, row.model_requested) == (
            0,
            tape.status,
            tape.asked.get("model", ""),
        )
        assert row.outcome == ("rejected" if tape.status >= 400 else "completed")
        if said is not None:
            assert {bucket: getattr(row, f"tok_{bucket}") for bucket in BUCKETS} == said
            assert row.usage_source == UsageSource.PROVIDER
            assert (Decimal(row.cost_usd or 0) > 0) == any(said.values())
