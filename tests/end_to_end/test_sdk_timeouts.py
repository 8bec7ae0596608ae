"""Official SDKs that give up waiting and ask again: one step with its attempts, though the first may not be over here.

What lives here: SDKs of OpenAI's making, boto3 (with its other retries). What does not: refusals (`test_sdk_retries.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import httpx2
import pytest
from botocore.config import Config

from proxy.config import AwsSigning, RouteSettings
from tests.helpers.aws import AGENTS_KEY_ID, AGENTS_SECRET, KEY_ID, SECRET
from tests.helpers.failing import CUT, HANG, Failing, Fault, recorded
from tests.helpers.origin import RawOrigin
from tests.helpers.pairs import rows_of
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET
from tests.helpers.replay import tapes
from tests.helpers.talks import TALKS, messages, talk

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed
either = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
SAID = ("Count. <<plan: say One. | say Two.>>", "Go on. <<plan: say Three.>>")
IMPATIENT_SECONDS = 1.0
REGION = "eu-west-1"
BEDROCK = ("61504333e574-1", "0bc3e2455c86-1")
MODEL = "amazon.nova-micro-v1:0"


@pytest.fixture
async def proxy(
    failing_origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Proxy]:
    monkeypatch.setenv("B_ID", KEY_ID)
    monkeypatch.setenv("B_SECRET", SECRET)
    aws = AwsSigning(REGION, access_key_id_env="B_ID", secret_access_key_env="B_SECRET")
    url = failing_origin.url
    routes = {
        "groq": RouteSettings(url=url),
        "bedrock": RouteSettings(url=url, provider="bedrock", sign="aws", aws=aws),
    }
    async with running(settings_for(data_dir, failing_origin, routes=routes)) as proxy:
        yield proxy


def impatient(name: str, is_async: bool, times: int) -> Any:
    """Make an HTTP client that gives up waiting for its first answers, and waits for the others as long as they take."""
    waits = iter([IMPATIENT_SECONDS] * times)

    def hurry(request: Any) -> None:
        seconds = next(waits, None)
        request.extensions = {**request.extensions, "timeout": {"read": seconds}}

    async def hurry_async(request: Any) -> None:
        hurry(request)

    library: Any = httpx if name == "groq" else httpx2
    kind = library.AsyncClient if is_async else library.Client
    return kind(event_hooks={"request": [hurry_async if is_async else hurry]})


WAYS = [
    pytest.param(1, stream, is_async, id=f"once-{stream=}-{is_async=}")
    for stream in (False, True)
    for is_async in (False, True)
]
WAYS.append(pytest.param(2, False, False, id="twice"))


@pytest.mark.parametrize(("times", "stream", "is_async"), WAYS)
@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "groq"])  # fmt: skip
async def test_what_an_sdk_asks_again_without_having_waited_is_one_step(
    name, times, stream, is_async, proxy, failing
):
    failing.faults += [HANG] * times
    root = f"http://127.0.0.1:{proxy.port}/{name.partition('-')[0]}"
    http_client = impatient(name, is_async, times)
    client = TALKS[name].make(root, is_async, http_client=http_client)
    talking = talk(TALKS[name], client, is_async, stream, SAID, 0)
    await (talking if is_async else asyncio.to_thread(asyncio.run, talking))
    rows = await rows_of(proxy, times + 2)
    assert [(row.step_seq, row.attempt, row.retry_layer) for row in rows] == [
        (1, 0, ""),
        *[(1, number + 1, "sdk") for number in range(times)],
        (2, 0, ""),
    ]
    assert [row.outcome for row in rows] == [*["client_abort"] * times, *["completed"] * 2]  # fmt: skip
    assert len({row.run_id for row in rows} - {""}) == 1
    assert len({row.step_id for row in rows}) == 2


def converse(url: str, stream: bool, read_timeout: float) -> None:
    """Ask Bedrock twice with boto3 as it comes: three attempts in all."""
    config = Config(read_timeout=read_timeout)
    client = boto3.client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=url,
        config=config,
        aws_access_key_id=AGENTS_KEY_ID,
        aws_secret_access_key=AGENTS_SECRET,
    )
    turns = [SAID[0]]
    try:
        for following in (SAID[1], ""):
            asked: Any = [{**each, "content": [{"text": each["content"]}]} for each in messages(turns)]  # fmt: skip
            if stream:
                said = client.converse_stream(modelId=MODEL, messages=asked)["stream"]
                texts = [event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in said]  # fmt: skip
            else:
                said = client.converse(modelId=MODEL, messages=asked)
                texts = [each["text"] for each in said["output"]["message"]["content"]]
            turns += ["".join(texts), following]
    finally:
        client.close()


@pytest.mark.big
@either
@pytest.mark.parametrize(
    ("faults", "read_timeout"),
    [((429,), 60), ((503,), 60), ((CUT,), 60), ((429, 503), 60), ((HANG,), 5)],
    ids=str,
)
async def test_what_boto3_tries_again_is_one_step(
    faults: tuple[Fault, ...],
    read_timeout: float,
    stream: bool,
    proxy: Proxy,
    failing: Failing,
):
    known = {each.id: each for each in tapes(SUBSET, "bedrock")}
    failing.answer = recorded(*(known[each] for each in BEDROCK))
    failing.faults += faults
    url = f"http://127.0.0.1:{proxy.port}/bedrock"
    await asyncio.to_thread(converse, url, stream, read_timeout)
    rows = await rows_of(proxy, len(faults) + 2)
    assert [(row.step_seq, row.attempt, row.retry_layer) for row in rows] == [
        (1, 0, ""),
        *[(1, number + 1, "sdk") for number in range(len(faults))],
        (2, 0, ""),
    ]
    assert len({row.run_id for row in rows} - {""}) == 1
    assert len({row.step_id for row in rows}) == 2
