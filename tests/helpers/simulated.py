"""A simulated provider in a thread, clients for it, and raw calls to it.

What lives here: start and stop, SDK clients with nothing set but base URL and key, answers as bytes. What does not: what
must be true of them.
"""

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anthropic
import openai

from proxy.simulate.engine import Settings
from proxy.simulate.server import Provider
from tests.helpers.sdk import ANTHROPIC_KEY, OPENAI_KEY

START_SECONDS = 20.0
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}
MODELS = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4o",
    "anthropic_messages": "claude-sonnet-5",
    "gemini": "gemini-2.5-flash",
}
LOOK_UP: dict[str, Any] = {
    "type": "object",
    "properties": {"q": {"type": "string"}},
    "required": ["q"],
}


@contextmanager
def simulated(settings: Settings | None = None) -> Iterator[Provider]:
    """Run a provider in a thread with an event loop of its own until the block ends; it does not wait by default."""
    started: Future[tuple[Provider, Callable[[], object]]] = Future()

    async def serve() -> None:
        async with Provider(settings) as provider:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            started.set_result((provider, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="simulated")
    thread.start()
    provider, end = started.result(START_SECONDS)
    try:
        yield provider
    finally:
        end()
        thread.join(START_SECONDS)


def openai_client(url: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{url}/v1", api_key=OPENAI_KEY, **{"max_retries": 0, **options}
    )


def anthropic_client(url: str, **options: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=url, api_key=ANTHROPIC_KEY, **{"max_retries": 0, **options}
    )


@dataclass(frozen=True)
class Raw:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def call(
    url: str,
    path: str,
    body: Any = None,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> Raw:
    """Make one call and read all of its answer; raise what `http.client` raises where it is cut."""
    place = urlsplit(url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    sent = {"authorization": "Bearer key", "content-type": "application/json"}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, path, raw, sent | (headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Raw(answer.status, found, answer.read())
    finally:
        connection.close()


def asking(
    family: str, text: str, *, stream: bool = False, tools: bool = True, **more: Any
) -> dict[str, Any]:
    """Give a request of a family that says a text, with a tool `search` on offer."""
    name, model = "search", MODELS[family]
    if family == "openai_chat":
        function = {"name": name, "parameters": LOOK_UP}
        offered: list[Any] = [{"type": "function", "function": function}]
        messages = [{"role": "user", "content": text}]
        body: dict[str, Any] = {"model": model, "messages": messages, "stream": stream}
    elif family == "openai_responses":
        offered = [{"type": "function", "name": name, "parameters": LOOK_UP}]
        body = {"model": model, "input": text, "stream": stream}
    elif family == "anthropic_messages":
        offered = [{"name": name, "input_schema": LOOK_UP}]
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages, "max_tokens": 4000}
        body["stream"] = stream
    else:
        declared = {"name": name, "parametersJsonSchema": LOOK_UP}
        offered = [{"functionDeclarations": [declared]}]
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return {**body, **({"tools": offered} if tools else {}), **more}


def path_of(family: str, *, stream: bool = False) -> str:
    if family == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{MODELS[family]}:{method}"
    return PATHS[family]
