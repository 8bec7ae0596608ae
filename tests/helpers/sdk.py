"""The official SDKs, driven by what was once asked, and all that their users see of an answer.

What lives here: clients with nothing set but base URL and key, calls made from recorded requests or from nothing, results and
errors as plain values that can be compared, the simplest answers. What does not: upstreams, proxies, expectations.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import openai

from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.replay import Tape
from tests.helpers.wire import response

OPENAI_KEY = "sk-proj-a-key-of-tests-that-nobody-else-has"
ANTHROPIC_KEY = "sk-ant-a-key-of-tests-that-nobody-else-has"

Client = openai.OpenAI | anthropic.Anthropic
AsyncClient = openai.AsyncOpenAI | anthropic.AsyncAnthropic
Seen = dict[str, Any]
"""What the user of an SDK sees: `result` or `events`, and `error` where one is raised."""


def client_for(name: str, url: str, max_retries: int = 0) -> Client:
    """Make a client for the provider's own URL, or for the proxy's with the route's name at its end."""
    if name == "openai":
        return openai.OpenAI(
            base_url=f"{url}/v1", api_key=OPENAI_KEY, max_retries=max_retries
        )
    return anthropic.Anthropic(
        base_url=url, api_key=ANTHROPIC_KEY, max_retries=max_retries
    )


def async_client_for(name: str, url: str, max_retries: int = 0) -> AsyncClient:
    """Make the same with async methods."""
    if name == "openai":
        return openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key=OPENAI_KEY, max_retries=max_retries
        )
    return anthropic.AsyncAnthropic(
        base_url=url, api_key=ANTHROPIC_KEY, max_retries=max_retries
    )


def method_for(client: Any, tape: Tape) -> Callable[..., Any]:
    """Give the SDK's method that makes this request."""
    parts = {
        "/chat/completions": "chat.completions",
        "/completions": "completions",
        "/complete": "completions",
        "/embeddings": "embeddings",
        "/responses": "responses",
        "/messages": "messages",
    }
    name = next(name for end, name in parts.items() if tape.path.endswith(end))
    if b"beta=true" in tape.target:
        name = f"beta.{name}"
    for part in name.split("."):
        client = getattr(client, part)
    method: Callable[..., Any] = client.create
    return method


def arguments(method: Callable[..., Any], tape: Tape) -> dict[str, Any]:
    """Give the recorded request as arguments; what the SDK knows no name for goes into the body as it is."""
    known = inspect.signature(method).parameters
    asked = tape.asked
    unknown = {name: asked.pop(name) for name in [*asked] if name not in known}
    # Anthropic's SDK refuses calls that may take long, unless it is told how long.
    return {**asked, "extra_body": unknown, "timeout": 60.0}


def see(call: Callable[[], Any]) -> Seen:
    """Make a call and take in everything that comes of it."""
    seen: Seen = {}
    try:
        result = call()
        if hasattr(result, "model_dump"):
            seen["result"], seen["request_id"] = _plain(result), result._request_id
        else:
            events = seen.setdefault("events", [])
            with result:
                for event in result:
                    events.append(_plain(event))
    except Warning:
        raise
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what its user sees
        seen["error"] = _error(error)
    return seen


async def see_async(call: Callable[[], Awaitable[Any]]) -> Seen:
    """Do the same with an async client."""
    seen: Seen = {}
    try:
        result = await call()
        if hasattr(result, "model_dump"):
            seen["result"], seen["request_id"] = _plain(result), result._request_id
        else:
            events = seen.setdefault("events", [])
            async with result:
                async for event in result:
                    events.append(_plain(event))
    except Warning:
        raise
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what its user sees
        seen["error"] = _error(error)
    return seen


def _plain(model: Any) -> Any:
    return model.model_dump(warnings=False)


def _error(error: Exception) -> Seen:
    said: Seen = {"type": type(error), "text": str(error)}
    for name in ("status_code", "request_id", "body", "code", "param"):
        said[name] = getattr(error, name, None)
    return said


FASTER = (b"retry-after-ms", b"1")
"""What keeps an SDK from sleeping half a second between its attempts."""
REASONS = {
    400: b"Bad Request",
    401: b"Unauthorized",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    529: b"Overloaded",
}


def refusal(name: str, status: int) -> bytes:
    """Give an error answer in the provider's own shape."""
    error: dict[str, Any] = {"type": "some_error", "message": f"this is a {status}"}
    body: dict[str, Any] = {"type": "error", "error": error, "request_id": "req_7"}
    if name == "openai":
        body = {"error": {**error, "param": None, "code": "some_code"}}
    fields = [
        (b"content-type", b"application/json"),
        (b"request-id", b"req_7"),
        (b"x-request-id", b"req_7"),
        FASTER,
    ]
    return response(
        json.dumps(body).encode(), *fields, status=b"%d %b" % (status, REASONS[status])
    )


def answer(name: str) -> bytes:
    """Give a whole, good answer."""
    body: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 3},
    }
    if name == "openai":
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi."},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        body = {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o",
            "choices": [choice],
            "usage": usage,
        }
    return response(json.dumps(body).encode(), (b"content-type", b"application/json"))


def ask(client: Any, *, stream: bool = False) -> Any:
    """Make a call that needs nothing."""
    messages: Any = [{"role": "user", "content": "Say hello, please."}]
    if isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        return client.chat.completions.create(
            model="gpt-4o", messages=messages, stream=stream
        )
    assert isinstance(client, anthropic.Anthropic | anthropic.AsyncAnthropic)
    return client.messages.create(
        model="claude-sonnet-4-5", max_tokens=64, messages=messages, stream=stream
    )


async def ask_by(
    name: str, url: str, *, is_async: bool, stream: bool = False, max_retries: int = 0
) -> Seen:
    if is_async:
        async with async_client_for(name, url, max_retries) as client:
            return await see_async(lambda: ask(client, stream=stream))

    def call() -> Seen:
        with client_for(name, url, max_retries) as client:
            return see(lambda: ask(client, stream=stream))

    return await asyncio.to_thread(call)


async def on_both(
    name: str, session: Callable[[Any], Any], origin: RawOrigin, proxy: Proxy
) -> Any:
    """Have a session with an SDK directly and through the proxy; the same must come of it."""

    def call(url: str) -> Any:
        with client_for(name, url) as client:
            return session(client)

    direct = await asyncio.to_thread(call, origin.url)
    proxied = await asyncio.to_thread(call, f"http://127.0.0.1:{proxy.port}/{name}")
    assert proxied == direct
    return direct
