"""What the users of official SDKs see of our refusals: one attempt, a readable exception, the whole story in it.

What lives here: the bytes of `proxy/judge/refusals.py` and `stream_errors.py`, answered by a raw server or a worker to real SDKs with nothing
set but URL and key. What does not: who decides to refuse, the bytes themselves (`tests/proxy/judge`).
"""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anthropic
import boto3
import cohere
import groq
import ollama
import openai
import pytest
from google import genai
from google.genai import types
from mistralai.client import Mistral
from msgspec.structs import replace

from proxy.config import AwsSigning, RouteSettings
from proxy.judge.caps import CapSettings
from proxy.judge.refusals import Asker, OwnAnswer, refuse, tell
from proxy.judge.settings import PolicySettings
from proxy.judge.shapes import Manner, family_of
from proxy.judge.stream_errors import Begun, last_words
from proxy.judge.verdict import Action, Reason, Verdict
from tests.helpers.eventstream import event as aws_event
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import running, settings_for
from tests.helpers.sdk import answer as good_answer
from tests.helpers.sse import anthropic_start, anthropic_text, openai_text, streamed
from tests.helpers.wire import Message, response

pytestmark = [
    # SDKs read certificates, data and the platform when they are made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
    # Google's and Mistral's SDKs leave a socket behind when they raise; it is collected within the test.
    pytest.mark.filterwarnings(
        "ignore:.*<socket.socket:pytest.PytestUnraisableExceptionWarning"
    ),
    # google-genai inherits from a class of aiohttp that does not want it.
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:pydantic.warnings.PydanticDeprecatedSince20"),
]

STORY = "run r1 exceeded its step limit (20 of 20); raise policies.caps.steps or run `tacho allow r1`"
CAPPED = Verdict(Action.BLOCK, "caps", Reason.STEPS, STORY, "run", "20", "20")
BUSY = replace(CAPPED, reason=Reason.IN_FLIGHT, is_final=False, wait_seconds=1)
LIMITED = replace(BUSY, policy="rate_gate", reason=Reason.UPSTREAM_LIMIT)
MESSAGES: Any = [{"role": "user", "content": "Hello."}]
AWS_MESSAGES = [{"role": "user", "content": [{"text": "Hello."}]}]


def answer_to(request: Message, verdict: Verdict, sdk: "Sdk") -> bytes:
    """Give the bytes that refuse a request."""
    asker = Asker(
        sdk.dialect,
        sdk.provider,
        request.get(b"user-agent") or b"",
        request.get(b"accept") or b"",
        request.body,
    )
    return written(refuse(verdict, asker))


def written(answer: OwnAnswer) -> bytes:
    status = b"%d %b" % (answer.status, HTTPStatus(answer.status).phrase.encode())
    return response(answer.body, *answer.headers, status=status)


def openai_chat(url: str, stream: bool) -> Any:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k") as client:
        said = client.chat.completions.create(
            model="m", messages=MESSAGES, stream=stream
        )
        return [*said] if stream else said


def openai_responses(url: str, stream: bool) -> Any:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k") as client:
        said: Any = client.responses.create(model="m", input="Hello.", stream=stream)
        return [*said] if stream else said


def azure_chat(url: str, stream: bool) -> Any:
    made = openai.AzureOpenAI(azure_endpoint=url, api_key="k", api_version="2024-10-21")
    with made as client:
        said = client.chat.completions.create(
            model="m", messages=MESSAGES, stream=stream
        )
        return [*said] if stream else said


def anthropic_messages(url: str, stream: bool) -> Any:
    with anthropic.Anthropic(base_url=url, api_key="k") as client:
        said = client.messages.create(
            model="m", max_tokens=9, messages=MESSAGES, stream=stream
        )
        return [*said] if stream else said


def openai_chat_async(url: str, stream: bool) -> Any:
    async def call() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            said = await client.chat.completions.create(
                model="m", messages=MESSAGES, stream=stream
            )
            return [each async for each in said] if stream else said  # type: ignore[union-attr]

    return asyncio.run(call())


def anthropic_messages_async(url: str, stream: bool) -> Any:
    async def call() -> Any:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k") as client:
            said = await client.messages.create(
                model="m", max_tokens=9, messages=MESSAGES, stream=stream
            )
            return [each async for each in said] if stream else said  # type: ignore[union-attr]

    return asyncio.run(call())


def groq_chat(url: str, stream: bool) -> Any:
    with groq.Groq(base_url=url, api_key="k") as client:
        said = client.chat.completions.create(
            model="m", messages=MESSAGES, stream=stream
        )
        return [*said] if stream else said


def cohere_chat(url: str, stream: bool) -> Any:
    with cohere.ClientV2(api_key="k", base_url=url) as client:
        if stream:
            return [*client.chat_stream(model="m", messages=MESSAGES)]
        return client.chat(model="m", messages=MESSAGES)


def cohere_chat_v1(url: str, stream: bool) -> Any:
    with cohere.Client(api_key="k", base_url=url) as client:
        if stream:
            return [*client.chat_stream(model="m", message="Hello.")]
        return client.chat(model="m", message="Hello.")


def mistral_chat(url: str, stream: bool) -> Any:
    with Mistral(api_key="k", server_url=url) as client:
        if stream:
            with client.chat.stream(model="m", messages=MESSAGES) as events:
                return [*events]
        return client.chat.complete(model="m", messages=MESSAGES)


def ollama_chat(url: str, stream: bool) -> Any:
    with ollama.Client(host=url) as client:
        said = client.chat(model="m", messages=MESSAGES, stream=stream)
        return [*said] if stream else said


def gemini(url: str, stream: bool) -> Any:
    options = types.HttpOptions(base_url=url)
    with genai.Client(api_key="k", http_options=options) as client:
        if stream:
            api = client.models.generate_content_stream
            return [*api(model="m", contents="Hello.")]
        return client.models.generate_content(model="m", contents="Hello.")


def bedrock(url: str, stream: bool) -> Any:
    client = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    try:
        if stream:
            said = client.converse_stream(modelId="m", messages=AWS_MESSAGES)
            return [*said["stream"]]
        return client.converse(modelId="m", messages=AWS_MESSAGES)
    finally:
        client.close()


@dataclass(frozen=True)
class Sdk:
    """An SDK, and what recognises its calls."""

    call: Callable[[str, bool], Any]
    dialect: str
    provider: str
    error: str
    """The exception's class for a final refusal."""
    begun: bytes = b""
    """How a stream of it begins; nothing where its own events would take too many fields to write."""
    content_type: bytes = b"text/event-stream"
    stream_error: str = "APIError"


CHAT = openai_text("Hel")
GEMINI = b'data: {"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"}}]}\r\n\r\n'
OLLAMA = b'{"model":"m","message":{"role":"assistant","content":"Hel"},"done":false}\n'
CLAUDE = anthropic_start() + anthropic_text("Hel")
AWS = aws_event("messageStart", role="assistant")

SDKS = {
    "openai chat": Sdk(openai_chat, "openai_chat", "openai", "BadRequestError", CHAT),
    "openai async": Sdk(openai_chat_async, "openai_chat", "openai", "BadRequestError", CHAT),
    "openai responses": Sdk(openai_responses, "openai_responses", "openai", "BadRequestError"),
    "openai at mistral": Sdk(openai_chat, "openai_chat", "mistral", "BadRequestError", CHAT),
    "openai at nobody": Sdk(openai_chat, "plain_http", "nobody", "BadRequestError"),
    "azure": Sdk(azure_chat, "openai_chat", "azure", "BadRequestError", CHAT),
    "anthropic": Sdk(anthropic_messages, "anthropic_messages", "anthropic", "BadRequestError", CLAUDE, stream_error="APIStatusError"),
    "anthropic async": Sdk(anthropic_messages_async, "anthropic_messages", "anthropic", "BadRequestError", CLAUDE, stream_error="APIStatusError"),
    "groq": Sdk(groq_chat, "openai_chat", "groq", "BadRequestError", CHAT),
    "cohere": Sdk(cohere_chat, "cohere_v2", "cohere", "BadRequestError"),
    "cohere v1": Sdk(cohere_chat_v1, "cohere_v1", "cohere", "BadRequestError", content_type=b"application/stream+json"),
    "mistral": Sdk(mistral_chat, "openai_chat", "mistral", "SDKError", CHAT, stream_error="ResponseValidationError"),
    "ollama": Sdk(ollama_chat, "ollama", "ollama", "ResponseError", OLLAMA, b"application/x-ndjson", "ResponseError"),
    "gemini": Sdk(gemini, "gemini_generate", "gemini", "ClientError", GEMINI, stream_error="ClientError"),
    "bedrock": Sdk(bedrock, "bedrock_converse", "bedrock", "ValidationException", AWS, b"application/vnd.amazon.eventstream", "EventStreamError"),
}  # fmt: skip
sdks = pytest.mark.parametrize("sdk", SDKS.values(), ids=SDKS)
STREAMED = {
    name: sdk
    for name, sdk in SDKS.items()
    if not name.startswith("cohere") and name != "openai at nobody"
}
"""Those that raise at an error event, or have one."""


async def raised_by(sdk: Sdk, url: str, stream: bool) -> Exception:
    try:
        said = await asyncio.to_thread(sdk.call, url, stream)
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what its user sees
        # Whatever the SDK left behind goes before another test begins.
        error.__traceback__ = None
        if sdk.call in (gemini, mistral_chat):
            gc.collect()
        return error
    raise AssertionError(f"nothing was raised, but {said!r}")


@sdks
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_C07_a_final_refusal_is_raised_with_the_whole_story_after_one_attempt(
    sdk: Sdk, stream: bool, origin: RawOrigin
):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(answer_to(exchange.request, CAPPED, sdk))

    origin.handler = handler
    error = await raised_by(sdk, origin.url, stream)
    assert type(error).__name__ == sdk.error
    assert STORY in str(error)
    assert len(origin.requests) == 1


@sdks
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_C07_a_worker_refuses_the_first_call_and_the_provider_hears_nothing(
    sdk: Sdk,
    stream: bool,
    origin: RawOrigin,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    route = RouteSettings(url=origin.url, kind="llm", provider=sdk.provider)
    if sdk.provider == "bedrock":
        monkeypatch.setenv("B_ID", "AKIA")
        monkeypatch.setenv("B_SECRET", "s")
        aws = AwsSigning(
            "eu-west-1", access_key_id_env="B_ID", secret_access_key_env="B_SECRET"
        )
        route = replace(route, sign="aws", aws=aws)
    routes = {"sdk": route}
    policies = PolicySettings(caps=CapSettings("enforce", steps=0))
    async with running(settings_for(data_dir, origin, routes=routes, policies=policies)) as proxy:  # fmt: skip
        root = f"http://127.0.0.1:{proxy.port}/run/r1/sdk"
        error = await raised_by(sdk, root, stream)
        row = await proxy.only()
    assert type(error).__name__ == sdk.error
    assert "run exceeded its step limit (0 of 0); to change it: policies.caps.steps" in str(error)  # fmt: skip
    assert (row.end.outcome, row.close.verdict_reason) == ("blocked", "step_limit")
    assert not origin.requests


@pytest.mark.parametrize("sdk", STREAMED.values(), ids=STREAMED)
async def test_a_stream_that_is_stopped_raises_with_the_whole_story_after_one_attempt(
    sdk: Sdk, origin: RawOrigin
):
    await _stop(sdk, origin)
    error = await raised_by(sdk, origin.url, stream=True)
    assert type(error).__name__ == sdk.stream_error
    # Mistral's SDK knows no error in a stream: what it cannot read is in the exception's body, and cut short in its text.
    assert STORY in (
        getattr(error, "body", "")
        if sdk.provider == "mistral" and sdk.call is mistral_chat
        else str(error)
    )
    assert len(origin.requests) == 1


async def test_coheres_sdk_hands_out_the_error_that_ends_a_stream(origin: RawOrigin):
    sdk = SDKS["cohere"]
    await _stop(sdk, origin)
    last = (await asyncio.to_thread(sdk.call, origin.url, True))[-1]
    assert last.type == "message-end"
    assert last.delta.finish_reason == "ERROR"
    assert STORY in last.delta.error
    assert len(origin.requests) == 1


async def test_coheres_first_api_ends_a_stream_with_the_same(origin: RawOrigin):
    sdk = SDKS["cohere v1"]
    await _stop(sdk, origin)
    last = (await asyncio.to_thread(sdk.call, origin.url, True))[-1]
    assert (last.event_type, last.finish_reason) == ("stream-end", "ERROR")
    assert STORY in last.error
    assert len(origin.requests) == 1


async def _stop(sdk: Sdk, origin: RawOrigin) -> None:
    family = family_of(sdk.dialect, sdk.provider)
    begun = Begun(family, sdk.dialect, sdk.content_type.decode())
    words = last_words(begun, tell(CAPPED, Manner.FINAL))
    assert words is not None
    stopped = streamed(*filter(None, (sdk.begun, words)))
    stopped = stopped.replace(b"text/event-stream", sdk.content_type, 1)

    async def handler(exchange: Exchange) -> None:
        await exchange.send(stopped)

    origin.handler = handler


@pytest.mark.parametrize("verdict", [BUSY, LIMITED], ids=["503", "429"])
@pytest.mark.parametrize("name", ["openai", "anthropic"])
async def test_what_may_be_tried_again_is_tried_again_and_succeeds(
    name: str, verdict: Verdict, origin: RawOrigin
):
    sdk = SDKS["openai chat" if name == "openai" else name]

    async def handler(exchange: Exchange) -> None:
        first = len(origin.requests) == 1
        refusal = answer_to(exchange.request, verdict, sdk)
        await exchange.send(refusal if first else good_answer(name))

    origin.handler = handler
    assert await asyncio.to_thread(sdk.call, origin.url, False)
    assert len(origin.requests) == 2


async def test_C07_claude_codes_spend_limit_is_tried_once(origin: RawOrigin):
    sdk, spent = SDKS["anthropic"], replace(CAPPED, reason=Reason.COST)

    async def handler(exchange: Exchange) -> None:
        await exchange.send(answer_to(exchange.request, spent, sdk))

    def call() -> Any:
        agent = {"User-Agent": "claude-cli/2.1.0 (external, cli)"}
        with anthropic.Anthropic(base_url=origin.url, api_key="k", default_headers=agent) as client:  # fmt: skip
            return client.messages.create(model="m", max_tokens=9, messages=MESSAGES)

    origin.handler = handler
    with pytest.raises(anthropic.RateLimitError, match="billing_error") as raised:
        await asyncio.to_thread(call)
    assert STORY in str(raised.value)
    assert len(origin.requests) == 1
