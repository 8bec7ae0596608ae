"""Calls that go to another upstream, because the first one's breaker is open or nobody there takes the connection."""

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config import AwsSigning, RouteSettings, Settings
from proxy.config.structs import FallbackSettings
from proxy.fallbacks import renamed
from proxy.forward.connect import Connector
from proxy.forward.origin import Origin
from proxy.judge.settings import PolicySettings
from tests.helpers import sse
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import assert_is_our_error, running, settings_for
from tests.helpers.records import read_spool
from tests.helpers.wire import request, response
from tests.proxy.forward.test_relay import closed_port
from tests.proxy.test_attempting import JSON, answered, ask, place

SECRET = (b"Authorization", b"Bearer agents-own-key")
CHAT = b"/openai/v1/chat/completions"


@pytest.fixture
async def other() -> AsyncIterator[RawOrigin]:
    async with RawOrigin(always(answered("Other."))) as other:
        yield other


def falling_back(
    data_dir: Path, first_url: str, other: RawOrigin, origin: RawOrigin, *, fallback: Any = None, policies: Any = None, **route: Any
) -> Settings:  # fmt: skip
    fallback = (FallbackSettings("backup", key="none"),) if fallback is None else fallback  # fmt: skip
    routes = {
        "openai": RouteSettings(url=first_url, provider="openai", fallback=fallback, **route),
        "backup": RouteSettings(url=other.url + "/base", provider="vllm", upstream_key_env="BACKUP_KEY"),
        "dead": RouteSettings(url=f"http://127.0.0.1:{closed_port()}", provider="vllm"),
    }  # fmt: skip
    made = msgspec.convert(policies or {}, PolicySettings)
    return settings_for(data_dir, origin, routes=routes, policies=made, response_headers=True)  # fmt: skip


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_KEY", "backups-own-key")


def dead() -> str:
    return f"http://127.0.0.1:{closed_port()}"


async def test_an_upstream_that_takes_no_connection_is_replaced(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    settings = falling_back(data_dir, dead(), other, origin, fallback=(FallbackSettings("backup"),))  # fmt: skip
    async with running(settings) as proxy:
        answer = await proxy.call(ask(SECRET))
        rows = await proxy.ended(2)
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "Other."
    assert answer.get(b"x-tacho-attempt") == b"1"
    assert place(rows) == [(0, 1, "", "upstream_error"), (1, 1, "proxy", "completed")]
    first, second = rows
    assert (first.open.route, first.open.provider) == ("openai", "openai")
    assert (second.open.route, second.open.provider) == ("backup", "vllm")
    assert (first.end.error_type, first.close.http_status) == ("connect", None)
    assert second.close.altered == ("path_prefix", "credential")
    (sent,) = other.requests
    assert sent.target == b"/base/v1/chat/completions"
    assert sent.get(b"authorization") == b"Bearer backups-own-key"
    assert b"agents-own-key" not in other.raw
    assert sent.get(b"host") == b"127.0.0.1:%d" % other.port


@pytest.mark.parametrize("whose", ["none", "agent"])
async def test_the_agents_key_goes_along_only_where_the_settings_say_so(
    whose: Any, origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    settings = falling_back(data_dir, dead(), other, origin, fallback=(FallbackSettings("backup", key=whose),))  # fmt: skip
    async with running(settings) as proxy:
        assert (await proxy.call(ask(SECRET, (b"Cookie", b"a=agents-own-key")))).status == 200  # fmt: skip
    assert (b"agents-own-key" in other.raw) == (whose == "agent")


BREAKER = {"mode": "enforce", "consecutive_failures": 1, "open_seconds": 60}


async def test_an_open_breaker_sends_calls_elsewhere_and_each_breaker_is_its_own(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    origin.handler = always(response(b"{}", JSON, status=b"500 Internal Server Error"))
    settings = falling_back(data_dir, origin.url, other, origin, policies={"breaker": BREAKER})  # fmt: skip
    async with running(settings) as proxy:
        assert (await proxy.call(ask())).status == 500  # not replaced: it was sent
        replaced = await proxy.call(ask(text="Second."))
        other.handler = always(response(b"{}", JSON, status=b"503 Service Unavailable"))
        assert (await proxy.call(ask(text="Third."))).status == 503
        refused = await proxy.call(ask(text="Fourth."))
        rows = await proxy.ended(6)
    assert (replaced.status, replaced.get(b"x-tacho-attempt")) == (200, b"1")
    assert replaced.get(b"x-tacho-verdict") is None
    assert (len(origin.requests), len(other.requests)) == (1, 2)
    told = [(each.open.route, each.open.attempt, each.close.breaker_state, each.end.outcome) for each in rows]  # fmt: skip
    assert told == [
        ("openai", 0, "closed", "upstream_error"),
        ("openai", 0, "open", "blocked"), ("backup", 1, "closed", "completed"),
        ("openai", 0, "open", "blocked"), ("backup", 1, "closed", "upstream_error"),
        ("openai", 0, "open", "blocked"),
    ]  # fmt: skip
    # Both are open now: the agent hears of the one that it named.
    assert (refused.status, refused.get(b"x-tacho-verdict")) == (503, b"block;policy=breaker;reason=upstream_failing")  # fmt: skip
    _, events = await asyncio.to_thread(read_spool, data_dir)
    blocked = [each.route for each in events if each.policy == "breaker" and each.action == "block"]  # fmt: skip
    assert blocked == ["openai", "openai", "openai", "backup"]


async def test_a_step_that_goes_elsewhere_because_of_an_open_breaker_counts(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    origin.handler = always(response(b"{}", JSON, status=b"500 Internal Server Error"))
    policies = {"breaker": BREAKER, "caps": {"mode": "enforce", "steps": 3}}
    settings = falling_back(data_dir, origin.url, other, origin, policies=policies)
    async with running(settings) as proxy:
        told = [(await proxy.call(ask(text=f"{n}."))).status for n in range(5)]
    assert told == [500, 200, 200, 400, 400]
    assert (len(origin.requests), len(other.requests)) == (1, 2)


async def test_the_next_one_in_the_list_takes_over_until_there_is_none(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    both = (FallbackSettings("dead", key="none"), FallbackSettings("backup"))
    async with running(falling_back(data_dir, dead(), other, origin, fallback=both)) as proxy:  # fmt: skip
        assert (await proxy.call(ask())).status == 200
        rows = await proxy.ended(3)
    assert [each.open.route for each in rows] == ["openai", "dead", "backup"]
    assert len({each.open.step_id for each in rows}) == 1


async def test_the_agent_hears_of_the_last_one_where_none_is_reached(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    alone = (FallbackSettings("dead", key="none"),)
    async with running(falling_back(data_dir, dead(), other, origin, fallback=alone)) as proxy:  # fmt: skip
        assert_is_our_error(await proxy.call(ask()), 502, "connect")
        rows = await proxy.ended(2)
    assert [each.close.http_status for each in rows] == [None, 502]


async def test_a_model_has_another_name_there_and_its_own_price(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    mapped = (FallbackSettings("backup", models={"gpt-4o": "llama-3.3-70b"}),)
    settings = falling_back(data_dir, dead(), other, origin, fallback=mapped)
    coded = gzip.compress(b'{ "messages":[],"model" : "gpt-4o","x":1}')
    async with running(settings) as proxy:
        await proxy.call(ask(text="model"))
        await proxy.call(request(CHAT, JSON, (b"Content-Encoding", b"gzip"), method=b"POST", body=coded))  # fmt: skip
        rows = await proxy.ended(4)
    served = [each for each in rows if each.open.route == "backup"]
    assert [each.open.model_requested for each in served] == ["llama-3.3-70b"] * 2
    assert all("model" in each.close.altered for each in served)
    plain, was_coded = other.requests
    assert json.loads(plain.body)["model"] == "llama-3.3-70b"
    assert plain.get(b"content-length") == b"%d" % len(plain.body)
    assert was_coded.body == b'{ "messages":[],"model" : "llama-3.3-70b","x":1}'
    assert was_coded.get(b"content-encoding") is None


@pytest.mark.parametrize("path", [b"", b"/v1/models", b"/v1/responses/r1"])
async def test_what_only_the_first_one_can_answer_stays_there(
    path: bytes, origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    async with running(falling_back(data_dir, dead(), other, origin)) as proxy:
        if not path:
            sent = request(b"/openai/v1/responses", JSON, method=b"POST", body=b'{"model":"m","input":"x","previous_response_id":"r1"}')  # fmt: skip
        else:
            sent = request(b"/openai" + path)
        assert_is_our_error(await proxy.call(sent), 502, "connect")
        (row,) = await proxy.ended(1)
    assert row.close.http_status == 502
    assert not other.requests


async def test_another_family_is_no_fallback(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    settings = falling_back(data_dir, dead(), other, origin)
    routes = {**settings.routes, "backup": msgspec.structs.replace(settings.routes["backup"], dialect="anthropic_messages")}  # fmt: skip
    async with running(msgspec.structs.replace(settings, routes=routes)) as proxy:
        assert_is_our_error(await proxy.call(ask()), 502, "connect")
    assert not other.requests


async def test_a_body_that_streams_through_goes_there_whole(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    body = b'{"model":"gpt-4o","messages":[]' + b" " * 400_000 + b"}"
    settings = falling_back(data_dir, dead(), other, origin)
    small = msgspec.structs.replace(settings.limits, request_buffer_bytes=4096)
    async with running(msgspec.structs.replace(settings, limits=small)) as proxy:
        answer = await proxy.call(request(CHAT, JSON, method=b"POST", body=body))
        rows = await proxy.ended(2)
    assert answer.status == 200
    assert other.requests[0].body == body
    assert [each.close.request_bytes for each in rows] == [0, len(body)]


async def test_a_stream_that_has_begun_is_never_replaced(
    origin: RawOrigin, other: RawOrigin, data_dir: Path
):
    async def cut(exchange: Exchange) -> None:
        await exchange.send(sse.streamed(sse.openai_text("a"))[:-20])
        exchange.reset()

    origin.handler = cut
    async with running(falling_back(data_dir, origin.url, other, origin)) as proxy:
        async with await proxy.connect() as client:
            await client.send(sse.openai_ask())
            await client.final_head()
        (row,) = await proxy.ended(1)
    assert (row.open.attempt, other.requests) == (0, [])


@pytest.mark.parametrize(
    ("body", "becomes"),
    [
        (b'{"model":"a"}', b'{"model":"b"}'),
        (b' {"x":"model", "model" :\n"a" , "model2":"a"}', b' {"x":"model", "model" :\n"b" , "model2":"a"}'),
        (b'{"x":{"model":"a"}}', None),
        (b'{"model":"a","model":"a"}', None),
        (b'{"model":"a","model":"c"}', None),
        (b"[]", None),
        (b"", None),
    ],
)  # fmt: skip
def test_only_the_models_name_is_changed(body, becomes):
    assert renamed(body, "b") == becomes


async def test_another_region_is_signed_for_with_its_own_key(
    origin: RawOrigin, other: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("B_ID", "AKIATHEPROXYSOWNKEY0")
    monkeypatch.setenv("B_SECRET", "the/proxys+own+secret")
    aws = AwsSigning(region="eu-west-1", access_key_id_env="B_ID", secret_access_key_env="B_SECRET")  # fmt: skip
    routes = {
        "bed": RouteSettings(url=dead(), provider="bedrock", fallback=(FallbackSettings("eu"),)),
        "eu": RouteSettings(url=other.url, provider="bedrock", sign="aws", aws=aws),
    }  # fmt: skip
    settings = settings_for(data_dir, origin, routes=routes)
    small = msgspec.structs.replace(settings.limits, request_buffer_bytes=4096)
    async with running(msgspec.structs.replace(settings, limits=small)) as proxy:
        path, said = b"/bed/model/m/converse", b'{"messages":[]}'
        assert (await proxy.call(request(path, JSON, SECRET, method=b"POST", body=said))).status == 200  # fmt: skip
        large = said + b" " * 400_000
        assert (await proxy.call(request(path, JSON, SECRET, method=b"POST", body=large))).status == 502  # fmt: skip
        rows = await proxy.ended(3)
    (sent,) = other.requests
    assert b"Credential=AKIATHEPROXYSOWNKEY0/" in (sent.get(b"authorization") or b"")
    assert b"agents-own-key" not in other.raw
    assert rows[1].close.altered == ("path_prefix", "credential", "resigned")


def refused() -> ssl.SSLError:
    error = ssl.SSLError()
    error.reason = "WRONG_VERSION_NUMBER"
    return error


@pytest.mark.parametrize("error_type", ["tls", "dns", "connect_timeout"])
async def test_however_a_connection_does_not_come_about(
    error_type: str, origin: RawOrigin, other: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):  # fmt: skip
    limit = 0.05 if error_type == "connect_timeout" else None
    settings = falling_back(data_dir, origin.url, other, origin, connect_timeout_seconds=limit)  # fmt: skip
    connect = Connector.connect

    async def never(self: Connector, to: Origin, factory: Any) -> None:
        if to.port != origin.port:
            await connect(self, to, factory)
        elif error_type == "connect_timeout":
            await asyncio.Event().wait()
        else:
            raise refused() if error_type == "tls" else socket.gaierror

    monkeypatch.setattr(Connector, "connect", never)
    async with running(settings) as proxy:
        assert (await proxy.call(ask())).status == 200
        rows = await proxy.ended(2)
    assert [(each.open.route, each.end.error_type) for each in rows] == [("openai", error_type), ("backup", "")]  # fmt: skip
    outcome = "timeout" if error_type == "connect_timeout" else "upstream_error"
    assert rows[0].end.outcome == outcome
