"""Google's SDK with nothing changed but the base URL, against an upstream that says what Gemini or Vertex once said.

What lives here: recorded calls, sync and async: the same result as without the proxy, the same request at the upstream, and
one row with the provider's numbers; written ones for what no recording shows. What does not: OpenAI's and Anthropic's SDKs.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from exporters.enrich.rows import StepRow, step_rows
from proxy.config import RouteSettings
from proxy.model import UsageSource
from tests.helpers.arithmetic import expected_buckets
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET, Recording, recordings
from tests.helpers.replay import Framing, Playback, Player, Tape, tapes
from tests.helpers.said import BUCKETS
from tests.helpers.wire import response

pytestmark = [
    pytest.mark.big,
    # An SDK reads certificates and credentials when it is made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
    # google-genai inherits from a class of aiohttp that does not want it.
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore:.*experimental:UserWarning"),
]
KEY = "AIzaAKeyOfTestsThatNobodyElseHas0123456"
JSON = (b"content-type", b"application/json; charset=UTF-8")
Seen = dict[str, Any]
"""What the user of the SDK sees: `result` or `events`, and `error` where one is raised."""


def client_for(name: str, url: str) -> genai.Client:
    """Make a client for the provider's own URL, or for the proxy's with the route's name at its end."""
    options = types.HttpOptions(base_url=url)
    if name == "gemini":
        return genai.Client(api_key=KEY, http_options=options)
    return genai.Client(
        vertexai=True,
        project="p",
        location="us-central1",
        credentials=Credentials(token="ya29.a-token-of-tests"),
        http_options=options,
    )


def _model(tape: Tape) -> str:
    return tape.path.rpartition("/")[2].partition(":")[0]


def _generate(tape: Tape, api: Any) -> Any:
    asked = tape.asked
    config: dict[str, Any] = {**asked.pop("generationConfig", {})}
    config |= {
        name: asked[name] for name in ("systemInstruction", "tools") if name in asked
    }
    method = (
        api.models.generate_content_stream
        if tape.streamed
        else api.models.generate_content
    )
    return method(
        model=_model(tape),
        contents=asked["contents"],
        config=types.GenerateContentConfig.model_validate(config),
    )


def _embed(tape: Tape, api: Any) -> Any:
    contents = [each["content"] for each in tape.asked["requests"]]
    return api.models.embed_content(model=_model(tape), contents=contents)


def _interact(tape: Tape, api: Any) -> Any:
    return api.interactions.create(**tape.asked)


_CALLS: dict[str, Callable[[Tape, Any], Any]] = {
    "generateContent": _generate,
    "embeddings": _embed,
    "interactions": _interact,
}


def _groups() -> dict[str, tuple[str, list[Tape]]]:
    """Sort the recordings; those with numbers for words, or without a body, are not this SDK's."""
    groups: dict[str, tuple[str, list[Tape]]] = {}
    for name in ("gemini", "vertex"):
        for tape in tapes(SUBSET, name):
            numbers = b"enum-encoding" in tape.target and tape.status < 400
            if numbers or not tape.request_body.lstrip().startswith(b"{"):
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
RECORDINGS: dict[str, Recording] = {
    each.id: each for each in recordings(SUBSET, "gemini", "vertex")
}
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
    routes = {
        name: RouteSettings(url=origin.url, kind="llm", provider="google")
        for name in ("gemini", "vertex")
    }
    async with running(settings_for(data_dir, origin, routes=routes)) as proxy:
        yield proxy


def see(call: Callable[[], Any]) -> Seen:
    seen: Seen = {}
    try:
        result = call()
        if hasattr(result, "model_dump"):
            seen["result"] = _plain(result)
        else:
            seen["events"] = []
            for event in result:
                seen["events"].append(_plain(event))
    except Warning:
        raise
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what its user sees
        seen["error"] = (type(error), str(error), getattr(error, "code", None))
    return seen


async def see_async(call: Callable[[], Any]) -> Seen:
    seen: Seen = {}
    try:
        result = await call()
        if hasattr(result, "model_dump"):
            seen["result"] = _plain(result)
        else:
            seen["events"] = []
            async for event in result:
                seen["events"].append(_plain(event))
    except Warning:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        seen["error"] = (type(error), str(error), getattr(error, "code", None))
    return seen


def _plain(model: Any) -> Any:
    return model.model_dump(
        mode="json", warnings=False, exclude={"sdk_http_response", "http_response"}
    )


def sync_call(name: str, url: str, make: Callable[[Any], Any]) -> Seen:
    with client_for(name, url) as client:
        return see(lambda: make(client))


async def async_call(name: str, url: str, make: Callable[[Any], Any]) -> Seen:
    async with client_for(name, url).aio as client:
        return await see_async(lambda: make(client))


@grouped
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_the_sdk_sees_what_it_would_see_without_the_proxy(
    name: str,
    played: list[Tape],
    is_async: bool,
    origin: RawOrigin,
    proxy: Proxy,
    player: Player,
):
    for tape in played:
        player.playing = Playback(tape, framing=Framing.CHUNKED)
        direct, proxied = await _on_both(
            name,
            partial(_CALLS[tape.api], tape),
            is_async,
            origin,
            proxy,
        )
        assert proxied == direct, tape.id
        assert ("error" in direct) == (tape.status >= 400), (tape.id, direct)
        _assert_passed(origin)
    recorded = await proxy.ended(len(played))
    for tape, each in zip(played, recorded, strict=True):
        (row,) = step_rows(each.open, each.close, each.end)
        _assert_row(tape, row)


async def _on_both(
    name: str,
    make: Callable[[Any], Any],
    is_async: bool,
    origin: RawOrigin,
    proxy: Proxy,
) -> tuple[Seen, Seen]:
    seen = []
    for url in (origin.url, f"http://127.0.0.1:{proxy.port}/{name}"):
        if is_async:
            seen.append(await async_call(name, url, make))
        else:
            seen.append(await asyncio.to_thread(sync_call, name, url, make))
    return seen[0], seen[1]


def _assert_passed(origin: RawOrigin) -> None:
    asked, passed = origin.requests[-2:]
    changed = (b"host", b"connection")
    assert (asked.start, asked.body, asked.without(*changed)) == (
        passed.start,
        passed.body,
        passed.without(*changed),
    )


def _assert_row(tape: Tape, row: StepRow) -> None:
    assert (row.http_status, row.provider) == (tape.status, "google")
    assert row.outcome == ("rejected" if tape.status >= 400 else "completed")
    asked = tape.asked.get("model") or tape.asked.get("agent") or _model(tape)
    assert row.model_requested == asked
    said = expected_buckets(RECORDINGS[tape.id])
    tokens = {bucket: getattr(row, f"tok_{bucket}") for bucket in BUCKETS}
    if said is not None:
        assert {bucket: n for bucket, n in tokens.items() if n} == said
        assert row.usage_source == UsageSource.PROVIDER
        assert Decimal(row.cost_usd or 0) > 0
    elif tape.api == "embeddings":
        assert row.usage_source == UsageSource.ESTIMATED
        assert tokens["input"] > 0


# What no recording shows.


def stream_of(*chunks: dict[str, Any]) -> bytes:
    body = b"".join(b"data: %b\r\n\r\n" % json.dumps(each).encode() for each in chunks)
    return response(body, (b"content-type", b"text/event-stream"))


def said(text: str, **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    candidate = {"content": content, **more}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-flash",
    }


def error(status: int) -> dict[str, Any]:
    return {"error": {"code": status, "message": "no", "status": "UNAVAILABLE"}}


def _ask(api: Any) -> Any:
    return api.models.generate_content(model="gemini-2.5-flash", contents="Hello.")


def _ask_streamed(api: Any) -> Any:
    return api.models.generate_content_stream(
        model="gemini-2.5-flash", contents="Hello."
    )


def _count(api: Any) -> Any:
    return api.models.count_tokens(model="gemini-2.5-flash", contents="Hello.")


def _embed_text(api: Any) -> Any:
    return api.models.embed_content(model="text-embedding-005", contents="Hello.")


def whole(value: Any, status: bytes = b"200 OK") -> bytes:
    return response(json.dumps(value).encode(), JSON, status=status)


PREDICTED = {
    "predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 4}}}]
}
WRITTEN: dict[str, tuple[str, bytes, Callable[[Any], Any], Seen]] = {
    "count": (
        "gemini",
        whole({"totalTokens": 4}),
        _count,
        {"operation": "count_tokens", "tok_input": None, "outcome": "completed"},
    ),
    "count-vertex": (
        "vertex",
        whole({"totalTokens": 4}),
        _count,
        {"operation": "count_tokens", "is_step": False, "usage_source": "none"},
    ),
    "embed-vertex": (
        "vertex",
        whole(PREDICTED),
        _embed_text,
        {"operation": "embeddings", "tok_input": 4, "usage_source": "provider"},
    ),
    "whole-vertex": (
        "vertex",
        whole(said("Hi.", finishReason="STOP")),
        _ask,
        {"tok_input": 3, "tok_output": 2, "model_served": "gemini-2.5-flash"},
    ),
    "throttled": (
        "gemini",
        whole(error(429), b"429 Too Many Requests"),
        _ask,
        {"error_type": "rate_limited", "http_status": 429},
    ),
    "refused-stream": (
        "vertex",
        whole([error(503)], b"503 Service Unavailable"),
        _ask_streamed,
        {"error_type": "server_error", "http_status": 503},
    ),
    "error-in-stream": (
        "gemini",
        stream_of(said("H"), error(503)),
        _ask_streamed,
        {"error_type": "error_in_stream", "http_status": 200, "tok_input": 3},
    ),
}


@pytest.mark.parametrize(
    ("name", "answer", "make", "expected"), WRITTEN.values(), ids=WRITTEN
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_what_no_recording_shows_is_seen_and_counted(
    name: str,
    answer: bytes,
    make: Callable[[Any], Any],
    expected: Seen,
    is_async: bool,
    origin: RawOrigin,
    proxy: Proxy,
    player: Player,
):
    player.script = [answer, answer]
    direct, proxied = await _on_both(name, make, is_async, origin, proxy)
    assert proxied == direct
    assert ("error" in direct) == ("error_type" in expected), direct
    _assert_passed(origin)
    each = await proxy.only()
    (row,) = step_rows(each.open, each.close, each.end)
    assert {member: getattr(row, member) for member in expected} == expected
