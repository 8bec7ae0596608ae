"""A conversation of two turns with each official SDK that tries again by itself, and with Ollama's, which does not.

What lives here: clients with nothing set but base URL, key and what makes them quick, and one question in each SDK's words. What does
not: who answers, what must be true.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import anthropic
import cohere
import groq
import ollama
import openai
from google import genai
from google.genai import types
from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig

from tests.helpers.sdk import ANTHROPIC_KEY, OPENAI_KEY
from tests.helpers.simulated import MODELS

RETRIES = 2
AT_ONCE = (
    "openai._base_client.INITIAL_RETRY_DELAY",
    "anthropic._base_client.INITIAL_RETRY_DELAY",
    "groq._base_client.INITIAL_RETRY_DELAY",
    "cohere.core.http_client.INITIAL_RETRY_DELAY_SECONDS",
)
"""How long SDKs wait after what says nothing of how long to wait."""
Turns = list[str]
"""What user and model said, in turn."""


@dataclass(frozen=True)
class Talk:
    """One SDK and one of its APIs."""

    make: Callable[..., Any]
    """Of the URL (with the route's name at its end), whether it is async, and options of the SDK."""
    ask: Callable[[Any, Turns, bool, bool], Awaitable[str]]
    """Of a client, what was said, whether the answer is streamed, whether the client is async; gives the answer."""


async def settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def each(items: Any) -> AsyncIterator[Any]:
    """Go through what a sync or an async client streams."""
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def messages(turns: Turns) -> list[Any]:
    roles = cycle(("user", "assistant"))
    return [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]  # fmt: skip


async def joined(items: Any, text: Callable[[Any], str | None]) -> str:
    return "".join([text(item) or "" async for item in each(items)])


def make_openai(url: str, is_async: bool, **options: Any) -> Any:
    kind: Any = openai.AsyncOpenAI if is_async else openai.OpenAI
    return kind(base_url=f"{url}/v1", api_key=OPENAI_KEY, max_retries=RETRIES, **options)  # fmt: skip


def make_anthropic(url: str, is_async: bool, **options: Any) -> Any:
    kind: Any = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
    return kind(base_url=url, api_key=ANTHROPIC_KEY, max_retries=RETRIES, **options)


def make_groq(url: str, is_async: bool, **options: Any) -> Any:
    kind: Any = groq.AsyncGroq if is_async else groq.Groq
    return kind(base_url=url, api_key="gsk_" + "a" * 52, max_retries=RETRIES, **options)


def make_mistral(url: str, is_async: bool) -> Any:
    """Retries of this SDK have to be asked for."""
    again = RetryConfig("backoff", BackoffStrategy(1, 10, 1.5, 60_000), True)
    return Mistral(api_key="a" * 32, server_url=url, retry_config=again)


def make_google(url: str, is_async: bool) -> Any:
    """Retries of this SDK have to be asked for."""
    again = types.HttpRetryOptions(attempts=1 + RETRIES, initial_delay=0.001, jitter=0)
    options = types.HttpOptions(base_url=url, retry_options=again)
    client = genai.Client(api_key="AIza-a-key-of-tests", http_options=options)
    return client.aio if is_async else client


def make_cohere(url: str, is_async: bool) -> Any:
    kind: Any = cohere.AsyncClientV2 if is_async else cohere.ClientV2
    return kind(api_key="a-key-of-tests", base_url=url, max_retries=RETRIES)


def make_ollama(url: str, is_async: bool) -> Any:
    return ollama.AsyncClient(url) if is_async else ollama.Client(url)


def _delta(chunk: Any) -> str | None:
    said: str | None = chunk.choices[0].delta.content if chunk.choices else None
    return said


async def ask_chat(client: Any, turns: Turns, stream: bool, is_async: bool) -> str:
    asked: Any = {"model": "gpt-4o", "messages": messages(turns), "stream": stream}
    said = await settled(client.chat.completions.create(**asked))
    if stream:
        return await joined(said, _delta)
    return str(said.choices[0].message.content)


async def ask_responses(client: Any, turns: Turns, stream: bool, is_async: bool) -> str:
    asked: Any = {"model": "gpt-4o", "input": messages(turns), "stream": stream}
    said = await settled(client.responses.create(**asked, store=False))
    if stream:
        is_text = "response.output_text.delta"
        return await joined(said, lambda event: event.delta if event.type == is_text else "")  # fmt: skip
    return str(said.output_text)


async def ask_messages(client: Any, turns: Turns, stream: bool, is_async: bool) -> str:
    asked: Any = {"model": MODELS["anthropic_messages"], "messages": messages(turns), "stream": stream}  # fmt: skip
    said = await settled(client.messages.create(**asked, max_tokens=100))
    if stream:
        return await joined(said, lambda event: getattr(getattr(event, "delta", None), "text", ""))  # fmt: skip
    return str(said.content[0].text)


async def ask_mistral(client: Any, turns: Turns, stream: bool, is_async: bool) -> str:
    name = ("stream" if stream else "complete") + "_async" * is_async
    asked: Any = {"model": "mistral-large-latest", "messages": messages(turns)}
    said = await settled(getattr(client.chat, name)(**asked))
    if stream:
        return await joined(said, lambda event: _delta(event.data))
    return str(said.choices[0].message.content)


async def ask_google(client: Any, turns: Turns, stream: bool, is_async: bool) -> str:
    roles = cycle(("user", "model"))
    contents = [{"role": role, "parts": [{"text": text}]} for role, text in zip(roles, turns, strict=False)]  # fmt: skip
    asked: Any = {"model": MODELS["gemini"], "contents": contents}
    if stream:
        said = await settled(client.models.generate_content_stream(**asked))
        return await joined(said, lambda chunk: chunk.text)
    return str((await settled(client.models.generate_content(**asked))).text)


async def ask_cohere(client: Any, turns: Turns, stream: bool, is_async: bool) -> str:
    asked: Any = {"model": "command-r", "messages": messages(turns)}
    if stream:
        is_text = "content-delta"
        return await joined(
            client.chat_stream(**asked),
            lambda event: event.delta.message.content.text if event.type == is_text else "",
        )  # fmt: skip
    return str((await settled(client.chat(**asked))).message.content[0].text)


async def ask_ollama(client: Any, turns: Turns, stream: bool, is_async: bool) -> str:
    asked: Any = {"model": "llama3", "messages": messages(turns), "stream": stream}
    said = await settled(client.chat(**asked))
    if stream:
        return await joined(said, lambda chunk: chunk.message.content)
    return str(said.message.content)


TALKS = {
    "openai-chat": Talk(make_openai, ask_chat),
    "openai-responses": Talk(make_openai, ask_responses),
    "anthropic": Talk(make_anthropic, ask_messages),
    "groq": Talk(make_groq, ask_chat),
    "mistral": Talk(make_mistral, ask_mistral),
    "gemini": Talk(make_google, ask_google),
    "cohere": Talk(make_cohere, ask_cohere),
    "ollama": Talk(make_ollama, ask_ollama),
}


@asynccontextmanager
async def opened(client: Any, is_async: bool) -> AsyncIterator[Any]:
    """Use a client and close it; what cannot be closed is not."""
    async with AsyncExitStack() as stack:
        if is_async and hasattr(client, "__aenter__"):
            client = await stack.enter_async_context(client)
        elif hasattr(client, "__enter__"):
            client = stack.enter_context(client)
        yield client


async def talk(
    talk: Talk,
    client: Any,
    is_async: bool,
    stream: bool,
    said: Iterable[str],
    patience: int,
) -> int:
    """Ask once for each text, with all that was said before; ask again what failed, `patience` times at most; give how often."""
    turns: Turns = []
    failed = 0
    async with opened(client, is_async) as client:
        for text in said:
            turns.append(text)
            while len(turns) % 2:
                try:
                    turns.append(await talk.ask(client, turns, stream, is_async))
                except Exception:  # each SDK has errors of its own
                    failed += 1
                    if failed > patience:
                        raise
    return failed
