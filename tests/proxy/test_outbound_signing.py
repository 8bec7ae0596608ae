"""Requests that are signed anew: what AWS gets, what is refused here, what passes as it is."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config import AwsSigning, ClientSettings, LimitSettings, RouteSettings
from tests.helpers.aws import KEY_ID, SECRET, TOKEN, signature_problem, signed_by_boto
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, assert_is_our_error, running, settings_for
from tests.helpers.wire import LAST_CHUNK, Message, chunk, request, response

# botocore reads its data when it is first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed

PATH = b"/model/us.anthropic.claude-3-7-sonnet-20250219-v1%3A0/converse"
BODY = b'{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}'
ANSWER = response(
    json.dumps(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
        }
    ).encode(),
    (b"Content-Type", b"application/json"),
)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B_ID", KEY_ID)
    monkeypatch.setenv("B_SECRET", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("A_CLIENT", "tk-a-client-key-of-tests")


def routes(origin: RawOrigin, region: str = "eu-west-1") -> dict[str, RouteSettings]:
    aws = AwsSigning(
        region=region, access_key_id_env="B_ID", secret_access_key_env="B_SECRET"
    )
    signing = RouteSettings(url=origin.url, provider="bedrock", sign="aws", aws=aws)
    return {"bed": signing, "plain": RouteSettings(url=origin.url, provider="bedrock")}


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    origin.handler = answering
    limits = LimitSettings(request_buffer_bytes=4096)
    settings = settings_for(data_dir, origin, routes=routes(origin), limits=limits)
    async with running(settings) as proxy:
        yield proxy


async def answering(exchange: Any) -> None:
    await exchange.send(ANSWER)


def post(
    path: bytes = b"/bed" + PATH, *headers: tuple[bytes, bytes], body: bytes = BODY
) -> bytes:
    kind = (b"Content-Type", b"application/json")
    return request(path, kind, *headers, method=b"POST", body=body)


def theirs(path: bytes = b"/bed" + PATH) -> bytes:
    """Give a request as boto3 signs it for the proxy."""
    host = "127.0.0.1:4141"
    headers = signed_by_boto(f"http://{host}{path.decode()}", BODY)
    retry = ((b"amz-sdk-invocation-id", b"i-1"), (b"amz-sdk-request", b"attempt=1"))
    return post(path, *headers, *retry)


def assert_is_signed_for(seen: Message, origin: RawOrigin) -> None:
    problem = signature_problem(seen, "eu-west-1", f"127.0.0.1:{origin.port}")
    assert problem == ""


async def test_a_signature_for_our_host_is_replaced(proxy: Proxy, origin: RawOrigin):
    answer = await proxy.call(theirs())
    assert answer.status == 200
    (seen,) = origin.requests
    assert seen.target == PATH
    assert_is_signed_for(seen, origin)
    assert seen.get(b"x-amz-security-token") == TOKEN.encode()
    assert [v for n, v in seen.headers if n.lower() == b"authorization"][1:] == []
    assert seen.get(b"amz-sdk-invocation-id") == b"i-1"
    assert seen.get(b"amz-sdk-request") == b"attempt=1"
    recorded = await proxy.only()
    assert recorded.close.altered == ("path_prefix", "resigned")
    assert (recorded.close.usage.input, recorded.close.usage.output) == (3, 4)
    for name in proxy.data_dir.rglob("*"):
        if name.is_file():
            assert SECRET.encode() not in await asyncio.to_thread(name.read_bytes)


async def test_a_request_without_a_credential_is_signed(
    proxy: Proxy, origin: RawOrigin
):
    assert (await proxy.call(post())).status == 200
    assert_is_signed_for(origin.requests[0], origin)


async def test_what_is_not_of_a_model_is_signed_and_streams_are_read_whole(
    proxy: Proxy, origin: RawOrigin
):
    assert (await proxy.call(request(b"/bed/async-invoke?b=2&a=1"))).status == 200
    coded = (b"Transfer-Encoding", b"chunked")
    head = request(b"/bed/unknown", coded, method=b"PUT")
    assert (
        await proxy.call(head, chunk(b"ab"), chunk(b"c") + LAST_CHUNK)
    ).status == 200
    first, second = origin.requests
    assert_is_signed_for(first, origin)
    assert_is_signed_for(second, origin)
    assert second.body == b"abc"


async def test_a_bearer_key_passes_as_it_is(proxy: Proxy, origin: RawOrigin):
    for path in (b"/bed" + PATH, b"/plain" + PATH):
        bearer = (b"Authorization", b"Bearer bedrock-api-key-x")
        assert (await proxy.call(post(path, bearer))).status == 200
    for seen in origin.requests:
        assert seen.get(b"authorization") == b"Bearer bedrock-api-key-x"
        assert seen.get(b"x-amz-date") is None
    for each in await proxy.ended(2):
        assert each.close.altered == ("path_prefix",)


async def test_a_signature_is_refused_where_the_route_does_not_sign(
    proxy: Proxy, origin: RawOrigin
):
    answer = await proxy.call(theirs(b"/plain" + PATH))
    assert_is_our_error(answer, 400, "auth")
    assert "routes.plain.sign" in json.loads(answer.body)["message"]
    assert answer.get(b"x-amzn-errortype") == b"ValidationException"
    assert not origin.requests
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == ("blocked", "auth")


@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
async def test_a_body_too_large_to_be_signed_is_refused(
    coded: bool, proxy: Proxy, origin: RawOrigin
):
    body = b"x" * 5000
    if coded:
        head = request(
            b"/bed" + PATH, (b"Transfer-Encoding", b"chunked"), method=b"POST"
        )
        parts = (head, chunk(body[:3000]), chunk(body[3000:]), LAST_CHUNK)
        answer = await proxy.call(*parts)
    else:
        answer = await proxy.call(post(body=body))
    assert_is_our_error(answer, 413, "too_large")
    assert "limits.request_buffer_bytes" in json.loads(answer.body)["message"]
    assert not origin.requests
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.close.http_status) == ("blocked", 413)


async def test_a_large_body_with_a_bearer_key_streams_through(
    proxy: Proxy, origin: RawOrigin
):
    bearer = (b"Authorization", b"Bearer bedrock-api-key-x")
    sent = post(b"/bed" + PATH, bearer, body=b"x" * 5000)
    assert (await proxy.call(sent)).status == 200
    assert origin.requests[0].body == b"x" * 5000


async def test_while_there_is_no_room_agents_are_asked_to_come_again(
    origin: RawOrigin, data_dir: Path
):
    limits = LimitSettings(request_buffer_bytes=4096, request_buffers_total_bytes=20)
    settings = settings_for(data_dir, origin, routes=routes(origin), limits=limits)
    async with running(settings) as proxy:
        assert_is_our_error(await proxy.call(post()), 503, "admission")


async def test_a_client_key_is_replaced_by_a_signature(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = answering
    clients = {"a": ClientSettings("A_CLIENT")}
    settings = settings_for(data_dir, origin, routes=routes(origin), clients=clients)
    async with running(settings) as proxy:
        key = (b"Authorization", b"Bearer tk-a-client-key-of-tests")
        assert (await proxy.call(post(b"/bed" + PATH, key))).status == 200
        own = (b"x-tacho-key", b"tk-a-client-key-of-tests")
        headers = signed_by_boto("http://127.0.0.1:1/bed", BODY)
        assert (await proxy.call(post(b"/bed" + PATH, own, *headers))).status == 200
        first, second = await proxy.ended(2)
    assert first.close.altered == ("path_prefix", "credential", "resigned")
    assert second.close.altered == ("path_prefix", "resigned")
    for seen in origin.requests:
        assert_is_signed_for(seen, origin)
        assert b"tk-a-client" not in b"".join(value for _, value in seen.headers)


async def test_usage_that_is_asked_for_is_signed_with_the_body_that_goes(
    origin: RawOrigin, data_dir: Path
):
    signing = routes(origin)["bed"]
    named = {"mantle": msgspec.structs.replace(signing, stream_usage="inject")}
    async with running(settings_for(data_dir, origin, routes=named)) as proxy:
        body = b'{"model":"openai.gpt-oss-120b","stream":true,"messages":[]}'
        await proxy.call(post(b"/mantle/openai/v1/chat/completions", body=body))
        recorded = await proxy.only()
    (seen,) = origin.requests
    assert b"include_usage" in seen.body
    assert_is_signed_for(seen, origin)
    assert recorded.close.altered == ("path_prefix", "resigned", "usage_injected")


async def test_the_region_of_the_agents_signature_counts_where_none_is_set(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = answering
    settings = settings_for(data_dir, origin, routes=routes(origin, region=""))
    async with running(settings) as proxy:
        assert (await proxy.call(theirs())).status == 200
        assert_is_our_error(await proxy.call(post()), 400, "invalid_request")
    (seen,) = origin.requests
    assert_is_signed_for(seen, origin)
