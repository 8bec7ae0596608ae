"""A warning reaches the model as a line in its newest tool result, through a worker, in each family; nothing else differs.

What lives here: the bytes that the provider gets, rows, and that runs are recognised as ever. What does not: where results stand
(`tests/proxy/meter/test_notes.py`), words (`tests/proxy/judge`).
"""

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config import AwsSigning, RouteSettings, Settings
from tests.end_to_end.test_governors import answer, governed
from tests.helpers.aws import KEY_ID, SECRET, signature_problem, signed_by_boto
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running
from tests.helpers.records import Recorded
from tests.helpers.wire import LAST_CHUNK, chunk, request, response

JSON = (b"Content-Type", b"application/json")
RESULT = '12 degrees, "rain" üñ\\'
NOTE = "[tachograph: this run has used 80 % of its steps (4 of 5)]"
CAPS = {"mode": "enforce", "steps": 5, "window_share": None}
FUNCTION = {"name": "weather", "arguments": "{}"}


def chat(n: int) -> Any:
    call = {"id": f"c{n}", "type": "function", "function": FUNCTION}
    return {"model": "gpt-4o", "stream": True, "messages": [
        {"role": "user", "content": "Go."}, {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{n}", "content": RESULT},
    ]}  # fmt: skip


def anthropic(n: int) -> Any:
    return {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": f"c{n}", "name": "weather", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": f"c{n}", "content": [{"type": "text", "text": RESULT}]},
            {"type": "text", "text": "<system-reminder>be brief</system-reminder>"},
        ]},
    ]}  # fmt: skip


def responses(n: int) -> Any:
    return {"model": "gpt-4o", "input": [
        {"role": "user", "content": "Go."}, {"type": "function_call", "call_id": f"c{n}", **FUNCTION},
        {"type": "function_call_output", "call_id": f"c{n}", "output": RESULT},
    ]}  # fmt: skip


def gemini(n: int) -> Any:
    return {"contents": [
        {"role": "user", "parts": [{"text": f"Go {n}."}]},
        {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"result": RESULT}}}]},
    ]}  # fmt: skip


def converse(n: int) -> Any:
    return {"messages": [
        {"role": "user", "content": [{"text": "Go."}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": f"c{n}", "name": "weather", "input": {}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": f"c{n}", "content": [{"text": RESULT}]}}]},
    ]}  # fmt: skip


CONVERSE = b"/model/us.anthropic.claude-3-7-sonnet-20250219-v1%3A0/converse"
FAMILIES = {
    "openai_chat": (b"/openai/v1/chat/completions", chat),
    "openai_responses": (b"/openai/v1/responses", responses),
    "anthropic_messages": (b"/anthropic/v1/messages", anthropic),
    "gemini_generate": (b"/gemini/v1beta/models/gemini-2.5-flash:generateContent", gemini),
    "bedrock_converse": (b"/bed" + CONVERSE, converse),
}  # fmt: skip


@pytest.fixture
def answering(origin: RawOrigin) -> RawOrigin:
    origin.handler = always(answer())
    return origin


def told(data_dir: Path, origin: RawOrigin, **policies: Any) -> Settings:
    settings = governed(data_dir, origin, **{"notes": True, "caps": CAPS, **policies})
    more = {
        name: RouteSettings(url=origin.url, kind="llm", provider=provider, stream_usage="estimate")
        for name, provider in (("gemini", "gemini"), ("bed", "bedrock"))
    }  # fmt: skip
    quiet = msgspec.structs.replace(settings.routes["openai"], stream_usage="estimate")
    return msgspec.structs.replace(settings, routes=settings.routes | more | {"openai": quiet})  # fmt: skip


def post(path: bytes, body: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    return request(b"/run/r1" + path, JSON, *headers, method=b"POST", body=body)


async def noted(proxy: Proxy, count: int) -> list[Recorded]:
    return [each for each in await proxy.ended(count) if "note_added" in each.close.altered]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_call_that_warns_tells_the_model_once(
    family: str, answering: RawOrigin, data_dir: Path
):
    path, ask = FAMILIES[family]
    bodies = [json.dumps(ask(n), ensure_ascii=bool(n % 2)).encode() for n in range(5)]
    async with running(told(data_dir, answering)) as proxy:
        for each in bodies:
            await proxy.call(post(path, each))
        (row,) = await noted(proxy, 5)
    seen = [each.body for each in answering.requests]
    assert [at for at in range(5) if seen[at] != bodies[at]] == [3]  # 80 % of five
    piece = json.dumps("\n\n" + NOTE)[1:-1].encode()
    assert seen[3].replace(piece, b"") == bodies[3]
    assert seen[3].count(piece) == 1
    assert json.dumps(RESULT + "\n\n" + NOTE) in json.dumps(json.loads(seen[3]))
    assert (row.open.step_seq, row.open.dialect) == (4, family)
    assert row.close.request_bytes == len(seen[3])


async def test_a_loop_is_told_too_and_usage_is_asked_for_beside_it(
    answering: RawOrigin, data_dir: Path
):
    settings = told(data_dir, answering, caps={}, repeat={"mode": "enforce", "warn": 3, "block": 6})  # fmt: skip
    settings = msgspec.structs.replace(settings, routes=settings.routes | {"openai": RouteSettings(url=answering.url, provider="openai")})  # fmt: skip
    async with running(settings) as proxy:
        for n in range(4):
            await proxy.call(post(FAMILIES["openai_chat"][0], json.dumps(chat(n)).encode()))  # fmt: skip
        (row,) = await noted(proxy, 4)
    assert row.close.altered == ("path_prefix", "note_added", "usage_injected")
    body = json.loads(answering.requests[2].body)
    assert body.pop("stream_options") == {"include_usage": True}
    assert body["messages"][-1].pop("content").endswith("\n\n[tachograph: this run goes in circles: the same call with the same arguments 3 times in a row; the run is stopped at 6]")  # fmt: skip
    expected = chat(2)
    del expected["messages"][-1]["content"]
    assert body == expected


async def calling(exchange: Exchange) -> None:
    """Answer with the next call of a tool."""
    n = len(json.loads(exchange.request.body)["messages"]) // 2
    message = {"role": "assistant", "content": None, "tool_calls": [call(n)]}
    body = {"id": f"c{n}", "object": "chat.completion", "model": "gpt-4o", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]}  # fmt: skip
    await exchange.send(response(json.dumps(body).encode(), JSON))


def call(n: int) -> Any:
    return {"id": f"call_{n}", "type": "function", "function": {"name": "weather", "arguments": f'{{"n":{n}}}'}}  # fmt: skip


async def test_the_agent_s_history_has_no_note_and_its_run_is_recognised_as_ever(
    origin: RawOrigin, data_dir: Path
):
    """No run is named: each request is recognised by the history before it, which is the agent's own."""
    origin.handler = calling
    history: list[Any] = [{"role": "user", "content": "Find the weather of each town."}]
    async with running(told(data_dir, origin)) as proxy:
        for n in range(5):
            body = json.dumps({"model": "gpt-4o", "messages": history}).encode()
            await proxy.call(request(FAMILIES["openai_chat"][0], JSON, method=b"POST", body=body))  # fmt: skip
            history += [{"role": "assistant", "content": None, "tool_calls": [call(n)]}, {"role": "tool", "tool_call_id": f"call_{n}", "content": f"{n} degrees"}]  # fmt: skip
        rows = await proxy.ended(5)
        assert len(await noted(proxy, 5)) == 1
    assert len({each.open.run_id for each in rows}) == 1
    assert sorted(each.open.step_seq or 0 for each in rows) == [1, 2, 3, 4, 5]
    assert [NOTE.encode() in each.body for each in origin.requests] == [False, False, False, True, False]  # fmt: skip


@pytest.mark.parametrize(
    "policies",
    [
        {"notes": False},
        {"caps": CAPS | {"mode": "observe"}},
        {"caps": CAPS | {"warn_share": None}},
    ],
    ids=["not wanted", "observed", "no warning"],
)
async def test_no_byte_differs_where_nobody_wants_it(
    policies: dict[str, Any], answering: RawOrigin, data_dir: Path
):
    bodies = [json.dumps(chat(n)).encode() for n in range(5)]
    async with running(told(data_dir, answering, **policies)) as proxy:
        for each in bodies:
            await proxy.call(post(FAMILIES["openai_chat"][0], each))
        assert await noted(proxy, 5) == []
    assert [each.body for each in answering.requests] == bodies


async def test_a_body_in_chunks_stays_in_chunks(answering: RawOrigin, data_dir: Path):
    head = request(b"/run/r1" + FAMILIES["openai_chat"][0], JSON, (b"Transfer-Encoding", b"chunked"), method=b"POST")  # fmt: skip
    async with running(told(data_dir, answering)) as proxy:
        for n in range(4):
            body = json.dumps(chat(n)).encode()
            await proxy.call(head, chunk(body[:50]), chunk(body[50:]), LAST_CHUNK)
        assert len(await noted(proxy, 4)) == 1
    seen = answering.requests[3]
    assert (seen.get(b"transfer-encoding"), seen.get(b"content-length")) == (b"chunked", None)  # fmt: skip
    assert json.loads(seen.body)["messages"][-1]["content"] == RESULT + "\n\n" + NOTE


SIGNED = b"AWS4-HMAC-SHA256 Credential=A/20250101/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("family", "headers", "query"),
    [
        ("openai_chat", [(b"Content-Encoding", b"gzip")], b""),
        ("openai_chat", [(b"Content-MD5", b"x")], b""),
        ("openai_chat", [(b"Content-Digest", b"x")], b""),
        ("openai_chat", [(b"Authorization", SIGNED)], b""),
        ("bedrock_converse", [], b"?X-Amz-Signature=0"),
    ],
    ids=["compressed", "checksum", "digest", "signed", "presigned"],
)
async def test_what_the_agent_vouches_for_is_left_alone(
    family: str, headers: list[Any], query: bytes, answering: RawOrigin, data_dir: Path
):
    path, ask = FAMILIES[family]
    bodies = [json.dumps(ask(n)).encode() for n in range(5)]
    if headers and headers[0][1] == b"gzip":
        bodies = [gzip.compress(each) for each in bodies]
    async with running(told(data_dir, answering)) as proxy:
        for each in bodies:
            await proxy.call(post(path + query, each, *headers))
        assert await noted(proxy, 5) == []
    assert [each.body for each in answering.requests] == bodies


@pytest.mark.blocking_allowed  # botocore reads its data in whatever loop that is
async def test_where_a_route_signs_what_is_signed_is_what_is_sent(
    answering: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("B_ID", KEY_ID)
    monkeypatch.setenv("B_SECRET", SECRET)
    aws = AwsSigning(region="eu-west-1", access_key_id_env="B_ID", secret_access_key_env="B_SECRET")  # fmt: skip
    settings = told(data_dir, answering)
    signing = RouteSettings(url=answering.url, provider="bedrock", sign="aws", aws=aws)
    settings = msgspec.structs.replace(settings, routes=settings.routes | {"bed": signing})  # fmt: skip
    path = b"/run/r1/bed" + CONVERSE
    async with running(settings) as proxy:
        for n in range(5):
            body = json.dumps(converse(n)).encode()
            theirs = signed_by_boto(f"http://127.0.0.1:4141{path.decode()}", body)
            await proxy.call(request(path, JSON, *theirs, method=b"POST", body=body))
        (row,) = await noted(proxy, 5)
    assert row.close.altered == ("path_prefix", "note_added", "resigned")
    assert NOTE.encode() in answering.requests[3].body
    for seen in answering.requests:
        assert signature_problem(seen, "eu-west-1", f"127.0.0.1:{answering.port}") == ""
