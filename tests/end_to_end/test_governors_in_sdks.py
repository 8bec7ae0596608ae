"""What users of official SDKs see at the first refused call: a readable exception after exactly one attempt, streamed and not."""

import asyncio
import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.end_to_end.test_governors import answer, governed
from tests.helpers import sse
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running
from tests.helpers.records import until
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request, response

pytestmark = [
    pytest.mark.blocking_allowed,  # SDKs read certificates and the platform
    pytest.mark.filterwarnings("ignore:The model .* is deprecated"),
]
STORY = "run exceeded its step limit (1 of 1); to let it go on: `tacho allow r1`"
MESSAGES: Any = [{"role": "user", "content": "Hello."}]
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn",
    "stop_sequence": None, "content": [{"type": "text", "text": "Hi."}], "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip


async def answering(exchange: Exchange) -> None:
    """Answer as either provider, streamed where that is asked for."""
    is_anthropic = b"/messages" in exchange.request.target
    if json.loads(exchange.request.body).get("stream"):
        events = sse.anthropic_stream("hi") if is_anthropic else [sse.openai_text("hi", "stop"), sse.openai_usage(5, 7), sse.OPENAI_DONE]  # fmt: skip
        await exchange.send(STREAM_HEAD, *map(chunk, events), LAST_CHUNK)
    elif is_anthropic:
        await exchange.send(response(json.dumps(MESSAGE).encode(), (b"content-type", b"application/json")))  # fmt: skip
    else:
        await exchange.send(answer())


async def ask_openai(proxy: Proxy, stream: bool) -> None:
    url = f"http://127.0.0.1:{proxy.port}/run/r1/openai/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        said: Any = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=stream)  # fmt: skip
        if stream:
            assert [each async for each in said]


async def ask_anthropic(proxy: Proxy, stream: bool) -> None:
    url = f"http://127.0.0.1:{proxy.port}/run/r1/anthropic"
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k") as client:
        said: Any = await client.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=MESSAGES, stream=stream)  # fmt: skip
        if stream:
            assert [each async for each in said]


CLAUDE_CODE = {"User-Agent": "claude-cli/2.1.0 (external, cli)"}
CODEX = {"User-Agent": "codex_cli_rs/0.98.0 (Linux)"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("policy", ["caps", "budgets"])
async def test_c07_claude_code_meets_the_spend_limit_that_it_documents(
    policy: str, stream: bool, origin: RawOrigin, data_dir: Path
):
    """A gateway's spend limit is its 429 `billing_error`, at which it stops and shows the message (research/wire.md 2.2)."""
    origin.handler = answering
    budget = {"name": "team", "per": "tenant", "period": "day", "mode": "enforce", "cost_usd": 1e-6}  # fmt: skip
    caps = {"mode": "enforce", "cost_usd": 1e-6}
    limits: Any = {"caps": caps} if policy == "caps" else {"budgets": [budget]}
    async with running(governed(data_dir, origin, **limits)) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/run/r1/anthropic"
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", default_headers=CLAUDE_CODE) as client:  # fmt: skip

            async def ask() -> None:
                said: Any = await client.beta.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=MESSAGES, stream=stream)  # fmt: skip
                if stream:
                    assert [each async for each in said]

            await ask()
            with pytest.raises(anthropic.RateLimitError, match="billing_error") as raised:  # fmt: skip
                await ask()
        rows = await proxy.ended(2)
    assert "spend limit reached: tachograph: " in str(raised.value)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert [each.close.http_status for each in rows] == [200, 429]
    assert len(origin.requests) == 1


async def test_c07_codex_reads_a_final_refusal_as_text_and_comes_back_after_a_rate_limit(
    origin: RawOrigin, data_dir: Path
):
    """It gives up at any 429 and shows a 400's body; a 503 it tries again (research/wire.md 2.1)."""
    limited = b'{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}'  # fmt: skip
    origin.handler = always(response(limited, (b"Retry-After", b"7"), status=b"429 Too Many Requests"))  # fmt: skip
    body = json.dumps({"model": "gpt-5-codex", "input": "Hello.", "stream": True}).encode()  # fmt: skip
    headers = [(b"Content-Type", b"application/json"), (b"User-Agent", CODEX["User-Agent"].encode())]  # fmt: skip
    path = b"/run/r1/openai/v1/responses"
    asked = request(path, *headers, method=b"POST", body=body)
    policies: Any = {"rate_gate": {"mode": "enforce"}, "caps": {"mode": "enforce", "attempts": 2}}  # fmt: skip
    async with running(governed(data_dir, origin, **policies)) as proxy:
        assert (await proxy.call(asked)).status == 429  # the provider's own
        waiting = await proxy.call(asked)
        other = asked.replace(b"gpt-5-codex", b"gpt-4o-codex")
        other = other.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) + 1))  # fmt: skip
        assert (await proxy.call(other)).status == 429
        final = await proxy.call(other)
    assert (waiting.status, waiting.get(b"retry-after")) == (503, b"7")
    assert final.status == 400
    assert "run exceeded its limit of attempts (2 of 2)" in json.loads(final.body)["error"]["message"]  # fmt: skip
    assert len(origin.requests) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("ask", "error"), [(ask_openai, openai.BadRequestError), (ask_anthropic, anthropic.BadRequestError)], ids=["openai", "anthropic"])  # fmt: skip
async def test_c07_an_sdk_stops_at_the_first_refused_call(
    ask: Any, error: type[Exception], stream: bool, origin: RawOrigin, data_dir: Path
):
    origin.handler = answering
    settings = governed(data_dir, origin, caps={"mode": "enforce", "steps": 1})
    async with running(settings) as proxy:
        await ask(proxy, stream)
        with pytest.raises(error, match="step limit") as raised:
            await ask(proxy, stream)
        assert STORY in str(raised.value)
        rows = await proxy.ended(2)
    assert len(origin.requests) == 1
    assert [each.end.outcome for each in rows] == ["completed", "blocked"]


async def test_what_only_calls_under_way_refuse_is_tried_again_by_the_sdk(
    origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("openai._base_client.anyio.sleep", _no_time)
    held: list[Exchange] = []

    async def first_waits(exchange: Exchange) -> None:
        held.append(exchange)
        if len(held) > 1:
            await exchange.send(answer())

    origin.handler = first_waits
    settings = governed(data_dir, origin, caps={"mode": "enforce", "cost_usd": 0.05})
    async with running(settings) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/run/r1/openai/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:

            async def call() -> Any:
                return await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=4000)  # fmt: skip

            waiting = asyncio.create_task(call())
            await until(lambda: bool(held), "the first call is under way")
            with pytest.raises(openai.InternalServerError, match="under way"):
                await call()
            await held[0].send(answer())
            await waiting
            await call()
        rows = await proxy.ended(5)
    verdicts = [each.close.verdict_reason for each in rows]
    assert verdicts.count("in_flight") == 3  # the SDK tries twice more


async def _no_time(_: float) -> None:
    """Let the SDK's pauses pass at once."""
