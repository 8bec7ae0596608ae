"""boto3 with nothing changed but the endpoint, against an upstream that takes a request only if it is signed for its own host.

What lives here: each recorded kind of call with signing keys, and one with a bearer key over TLS: the same result as without the
proxy, and one row with the provider's numbers. What does not: what is refused (`test_outbound_signing.py`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from exporters.enrich.rows import step_rows
from proxy.config import AwsSigning, RouteSettings
from proxy.config.structs import TlsListener
from proxy.model import UsageSource
from tests.helpers.arithmetic import expected_buckets
from tests.helpers.aws import (
    AGENTS_KEY_ID,
    AGENTS_SECRET,
    KEY_ID,
    SECRET,
    signature_problem,
)
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET, recordings
from tests.helpers.records import Recorded
from tests.helpers.replay import Playback, Player, Tape, tapes
from tests.helpers.said import BUCKETS
from tests.helpers.tls import AUTHORITY, CERTIFICATE, KEY, TlsFront
from tests.helpers.wire import response

# boto3 reads its data, and certificates, when a client is made.
pytestmark = [pytest.mark.big, pytest.mark.blocking_allowed]

REGION = "eu-west-1"
TOKEN = "bedrock-api-key-of-tests"
CALLS = {
    "converse": "converse",
    "converse-stream": "converse_stream",
    "invoke": "invoke_model",
    "invoke-with-response-stream": "invoke_model_with_response_stream",
}
RECORDINGS = {each.id: each for each in recordings(SUBSET, "bedrock")}


def _is_for_boto(tape: Tape) -> bool:
    """Leave out what today's boto3 cannot ask for, and answers without the headers by which it reads them."""
    framed = any(b"eventstream" in value for _, value in tape.headers)
    is_readable = framed == tape.streamed or tape.status >= 400
    return is_readable and bool(tape.body) and bool(tape.request_body)


def _groups() -> dict[str, list[Tape]]:
    """Sort the recordings by call and sort of answer."""
    groups: dict[str, list[Tape]] = {}
    for tape in filter(_is_for_boto, tapes(SUBSET, "bedrock")):
        sort = "error" if tape.status >= 400 else "answer"
        call = tape.path.rpartition("/")[2]
        if tape.streamed or sort == "error" or "stream" not in call:
            groups.setdefault(f"{call}-{sort}", []).append(tape)
    return groups


GROUPS = _groups()
grouped = pytest.mark.parametrize("played", GROUPS.values(), ids=GROUPS)


class Amazon:
    """Plays a tape to those whose signature is good, or who hold the key."""

    def __init__(self) -> None:
        self.player = Player()
        self.hosts: set[str] = set()
        self.problems: list[str] = []

    async def __call__(self, exchange: Exchange) -> None:
        seen = exchange.request
        host = (seen.get(b"host") or b"").decode()
        if seen.get(b"authorization") == f"Bearer {TOKEN}".encode():
            problem = "" if host in self.hosts else "another host"
        else:
            (own,) = self.hosts
            problem = signature_problem(seen, REGION, own, keys=KEYS)
        if problem:
            self.problems.append(problem)
            refusal = json.dumps({"message": problem}).encode()
            kind = (b"x-amzn-ErrorType", b"InvalidSignatureException")
            await exchange.send(response(refusal, kind, status=b"403 Forbidden"))
        else:
            await self.player(exchange)


KEYS = {AGENTS_KEY_ID: AGENTS_SECRET, KEY_ID: SECRET}


@pytest.fixture
def amazon() -> Amazon:
    return Amazon()


@pytest.fixture
async def origin(amazon: Amazon) -> AsyncIterator[RawOrigin]:
    async with RawOrigin(amazon) as origin:
        amazon.hosts = {f"127.0.0.1:{origin.port}"}
        yield origin


@pytest.fixture
async def proxy(
    origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Proxy]:
    monkeypatch.setenv("B_ID", KEY_ID)
    monkeypatch.setenv("B_SECRET", SECRET)
    aws = AwsSigning(REGION, access_key_id_env="B_ID", secret_access_key_env="B_SECRET")
    signing = RouteSettings(url=origin.url, provider="bedrock", sign="aws", aws=aws)
    async with running(
        settings_for(data_dir, origin, routes={"bedrock": signing})
    ) as proxy:
        yield proxy


@contextmanager
def client_for(url: str, **options: Any) -> Iterator[Any]:
    """Make a client that tries once."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=20)
    client = boto3.client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=url,
        config=config,
        **options,
    )
    try:
        yield client
    finally:
        client.close()


def signing_client(url: str) -> Any:
    return client_for(
        url, aws_access_key_id=AGENTS_KEY_ID, aws_secret_access_key=AGENTS_SECRET
    )


def see(client: Any, tape: Tape) -> dict[str, Any]:
    """Make a recorded call, and take in all that its caller sees."""
    _, _, rest = tape.path.partition("/model/")
    model, _, call = rest.rpartition("/")
    asked = {"body": tape.request_body} if "invoke" in call else tape.asked
    try:
        said = getattr(client, CALLS[call])(modelId=unquote(model), **asked)
        return {name: _plain(value) for name, value in said.items()}
    except botocore.exceptions.ClientError as error:
        return {"error": str(error), "response": _plain(error.response)}


def _plain(value: Any) -> Any:
    """Read a stream, and leave out what is of the connection."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name != "RetryAttempts"}
        return {name: _plain(each) for name, each in kept.items()}
    if hasattr(value, "read"):
        return value.read()
    return list(value) if hasattr(value, "close") else value


def _assert_row(tape: Tape, recorded: Recorded) -> None:
    (row,) = step_rows(recorded.open, recorded.close, recorded.end)
    assert row.outcome == ("rejected" if tape.status >= 400 else "completed"), tape.id
    assert row.model_requested in unquote(tape.path)
    assert row.http_status == tape.status
    expected = expected_buckets(RECORDINGS[tape.id])
    if expected is not None:
        counted = {bucket: getattr(row, f"tok_{bucket}") for bucket in BUCKETS}
        assert {name: n for name, n in counted.items() if n} == expected, tape.id
        assert row.usage_source == UsageSource.PROVIDER


@grouped
async def test_a_signing_client_sees_what_it_would_see_without_the_proxy(
    played: list[Tape], origin: RawOrigin, proxy: Proxy, amazon: Amazon
):
    def call(url: str, tape: Tape) -> dict[str, Any]:
        with signing_client(url) as client:
            return see(client, tape)

    for tape in played:
        amazon.player.playing = Playback(tape)
        direct = await asyncio.to_thread(call, origin.url, tape)
        url = f"http://127.0.0.1:{proxy.port}/bedrock"
        proxied = await asyncio.to_thread(call, url, tape)
        assert amazon.problems == []
        assert proxied == direct, tape.id
        assert ("error" in direct) == (tape.status >= 400)
        asked, passed = origin.requests[-2:]
        of_signature = (b"authorization", b"x-amz-date", b"amz-sdk-invocation-id")
        changed = (b"host", b"connection", *of_signature)
        assert asked.body == passed.body
        assert asked.start == passed.start
        assert sorted(asked.without(*changed)) == sorted(passed.without(*changed))
    recorded = await proxy.ended(len(played))
    for tape, exchange in zip(played, recorded, strict=True):
        assert exchange.close.altered == ("path_prefix", "resigned")
        _assert_row(tape, exchange)


async def test_a_client_whose_key_is_refused_sees_amazons_word(
    proxy: Proxy, origin: RawOrigin, amazon: Amazon
):
    amazon.hosts = {"elsewhere"}
    tape = next(iter(GROUPS["converse-answer"]))
    url = f"http://127.0.0.1:{proxy.port}/bedrock"

    def call() -> dict[str, Any]:
        with signing_client(url) as client:
            return see(client, tape)

    seen = await asyncio.to_thread(call)
    assert seen["response"]["Error"]["Code"] == "InvalidSignatureException"
    recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == ("rejected", "auth")


@grouped
async def test_a_bearer_client_over_tls_sees_what_it_would_see_without_the_proxy(
    played: list[Tape],
    origin: RawOrigin,
    data_dir: Path,
    amazon: Amazon,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", TOKEN)

    def call(url: str, tape: Tape) -> dict[str, Any]:
        with client_for(url, verify=AUTHORITY) as client:
            return see(client, tape)

    async with TlsFront(origin) as front:
        plain = RouteSettings(url=front.url, provider="bedrock", ca_file=AUTHORITY)
        settings = settings_for(
            data_dir,
            origin,
            routes={"bedrock": plain},
            listen_tls=TlsListener(CERTIFICATE, KEY),
        )
        amazon.hosts = {f"127.0.0.1:{front.port}"}
        async with running(settings) as proxy:
            for tape in played:
                amazon.player.playing = Playback(tape)
                direct = await asyncio.to_thread(call, front.url, tape)
                url = f"https://127.0.0.1:{proxy.port}/bedrock"
                proxied = await asyncio.to_thread(call, url, tape)
                assert amazon.problems == []
                assert proxied == direct, tape.id
            recorded = await proxy.ended(len(played))
    for tape, exchange in zip(played, recorded, strict=True):
        assert exchange.close.altered == ("path_prefix",)
        _assert_row(tape, exchange)
