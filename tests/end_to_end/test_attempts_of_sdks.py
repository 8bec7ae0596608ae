"""What official SDKs and plain applications try again, of calls that belong to no run: one step, the attempts of it, who tried.

What lives here: embeddings, lists of models and tools against an upstream that fails first. What does not: calls of runs
(`test_runs_of_loops.py`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.config import RouteSettings
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.sdk import FASTER
from tests.helpers.simulated import openai_client
from tests.helpers.wire import request, response

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed
KEY = "a-key-of-tests-that-nobody-else-has-012345"
JSON = (b"content-type", b"application/json")
VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5]}
USAGE = {"prompt_tokens": 2, "total_tokens": 2}
LIST = {"object": "list", "data": [VECTOR], "model": "m", "usage": USAGE}


def failing(times: int, body: Any, status: bytes = b"503 Service Unavailable") -> Any:
    """Fail so often, then answer."""
    left = [times]

    async def handler(exchange: Exchange) -> None:
        await exchange.read_body()
        if left[0]:
            left[0] -= 1
            await exchange.send(response(b"{}", JSON, FASTER, status=status))
        else:
            await exchange.send(response(json.dumps(body).encode(), JSON))

    return handler


def embed_by_openai(url: str) -> None:
    with openai_client(f"{url}/openai", max_retries=2) as client:
        client.embeddings.create(model="text-embedding-3-small", input="Hello.", encoding_format="float")  # fmt: skip


def list_models_by_openai(url: str) -> None:
    with openai_client(f"{url}/openai", max_retries=2) as client:
        client.models.list()


def embed_by_groq(url: str) -> None:
    import groq  # slow, and of the big tests only

    with groq.Groq(base_url=f"{url}/groq", api_key=KEY, max_retries=2) as client:
        client.embeddings.create(model="m", input="Hello.")


def embed_by_cohere(url: str) -> None:
    import cohere

    with httpx.Client() as http:
        client = cohere.ClientV2(
            api_key=KEY, base_url=f"{url}/cohere", httpx_client=http
        )
        client.embed(model="embed-v4.0", texts=["Hello."], input_type="search_query")


def embed_by_google(url: str) -> None:
    from google import genai
    from google.genai import types

    again = types.HttpRetryOptions(attempts=3, initial_delay=0.01, max_delay=0.02)
    options = types.HttpOptions(base_url=f"{url}/gemini", retry_options=again)
    with genai.Client(api_key=KEY, http_options=options) as client:
        client.models.embed_content(model="gemini-embedding-001", contents="Hello.")


COHERE = {"id": "e", "embeddings": {"float": [[0.5]]}, "texts": ["Hello."], "response_type": "embeddings_by_type"}  # fmt: skip
GOOGLE = {"embeddings": [{"values": [0.5]}]}
CLIENTS: dict[str, tuple[Callable[[str], None], Any, str]] = {
    "openai embeddings": (embed_by_openai, LIST, "sdk"),
    "openai models": (list_models_by_openai, {"object": "list", "data": []}, "sdk"),
    "groq": (embed_by_groq, LIST, "sdk"),
    "cohere": (embed_by_cohere, COHERE, "app"),
    "google": (embed_by_google, GOOGLE, "app"),
}


def _cases() -> list[Any]:
    big = {"groq", "cohere", "google"}
    return [pytest.param(*case, id=name, marks=[pytest.mark.big] if name in big else []) for name, case in CLIENTS.items()]  # fmt: skip


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    providers = {"groq": "groq", "cohere": "cohere"}
    routes = {name: RouteSettings(url=origin.url, kind="llm", provider=provider) for name, provider in providers.items()}  # fmt: skip
    async with running(settings_for(data_dir, origin, routes=routes)) as proxy:
        yield proxy


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*:pydantic.warnings.PydanticDeprecatedSince20")
@pytest.mark.parametrize(("call", "body", "layer"), _cases())
async def test_what_an_sdk_tries_again_is_one_step(call, body, layer, origin, proxy):
    origin.handler = failing(2, body)
    await asyncio.to_thread(call, f"http://127.0.0.1:{proxy.port}")
    opens = [each.open for each in await proxy.ended(3)]
    assert [(each.attempt, each.retry_layer) for each in opens] == [(0, ""), (1, layer), (2, layer)]  # fmt: skip
    assert {each.step_id for each in opens} == {opens[0].attempt_id}
    assert {(each.run_id, each.step_seq) for each in opens} == {("", None)}
    await asyncio.to_thread(call, f"http://127.0.0.1:{proxy.port}")
    (*_, later) = await proxy.ended(4)
    assert (later.open.attempt, later.open.retry_layer) == (0, "")


async def test_what_a_plain_application_tries_again_is_one_step(origin, proxy):
    origin.handler = failing(1, {})
    asked = request(b"/t/search", method=b"POST", body=b"{}")
    for _ in range(3):
        await proxy.call(asked)
    opens = [each.open for each in await proxy.ended(3)]
    assert [(each.attempt, each.retry_layer) for each in opens] == [(0, ""), (1, "app"), (0, "")]  # fmt: skip
    assert len({each.step_id for each in opens}) == 2


async def test_an_invocation_id_tells_parallel_calls_apart(origin, proxy):
    origin.handler = failing(2, {})
    for name, attempt in ((b"i1", 1), (b"i2", 1), (b"i1", 2), (b"i2", 2)):
        invocation = (b"amz-sdk-invocation-id", name), (b"amz-sdk-request", b"attempt=%d" % attempt)  # fmt: skip
        await proxy.call(request(b"/t/search", *invocation))
    opens = [each.open for each in await proxy.ended(4)]
    assert [(each.attempt, each.retry_layer) for each in opens] == [(0, ""), (0, ""), (1, "sdk"), (1, "sdk")]  # fmt: skip
    assert [each.step_id for each in opens[2:]] == [each.attempt_id for each in opens[:2]]  # fmt: skip
