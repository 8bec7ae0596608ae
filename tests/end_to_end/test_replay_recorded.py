"""Recorded provider traffic through the proxy: the same bytes both ways, the provider's own numbers in the record, and their price.

What lives here: every exchange of every provider, in all content codings, whole and in odd slices. What does not: SDKs
(`test_sdk_*.py`), a provider that really asks whether usage is wanted (`test_sdk_injection.py`).
"""

from dataclasses import replace
from pathlib import Path

import pytest

from proxy.config import AwsSigning
from tests.helpers.aws import KEY_ID, SECRET
from tests.helpers.recordings import ALL_TRAFFIC, NAMES, SUBSET
from tests.helpers.replay import CODINGS, Framing, Playback, Tape, tapes
from tests.helpers.replaying import Tally, replay

QUICK = {("identity", Framing.CHUNKED), ("gzip", Framing.WHOLE)}
"""Ways in which all traffic is replayed in every run of the tests; all of them take some minutes with coverage on."""

INJECTED = ("openai", "azure", "local")
"""Files with streams that carry usage only when asked, and did not ask."""

codings = pytest.mark.parametrize("coding", CODINGS)
framings = pytest.mark.parametrize(
    "framing", Framing, ids=lambda each: each.name.lower()
)


@pytest.fixture(scope="module")
def subset() -> list[Tape]:
    return tapes(SUBSET, *NAMES)


@pytest.fixture(scope="module")
def all_traffic() -> dict[str, list[Tape]]:
    if not ALL_TRAFFIC.is_dir():
        pytest.skip("the whole recorded traffic is not beside this checkout")
    return {name: tapes(ALL_TRAFFIC, name) for name in NAMES}


def assert_right(tally: Tally) -> None:
    assert tally.wrong == []
    assert tally.identical == tally.exchanges
    assert tally.equal == tally.carrying
    assert tally.priced == tally.known


@codings
@framings
async def test_the_subset_passes_unchanged_and_is_metered_and_priced_as_the_provider_says(
    coding: str, framing: Framing, data_dir: Path, subset: list[Tape]
):
    tally = await replay(data_dir, [Playback(e, coding, framing) for e in subset])
    assert_right(tally)
    assert tally.known >= 200


WAYS = [
    pytest.param(
        coding,
        framing,
        marks=() if (coding, framing) in QUICK else pytest.mark.big,
        id=f"{coding}-{framing.name.lower()}",
    )
    for framing in Framing
    for coding in CODINGS
]


@pytest.mark.parametrize(("coding", "framing"), WAYS)
@pytest.mark.parametrize("name", NAMES)
async def test_all_recorded_traffic_passes_unchanged_and_is_metered_and_priced_as_the_provider_says(
    name: str,
    coding: str,
    framing: Framing,
    data_dir: Path,
    all_traffic: dict[str, list[Tape]],
):
    played = [Playback(tape, coding, framing) for tape in all_traffic[name]]
    tally = await replay(data_dir, played)
    assert_right(tally)
    assert bool(tally.injected) == (name in INJECTED)
    assert len(tally.stripped) <= 1, (
        "one recording has a usage event that its request did not ask for"
    )


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_compressed_requests_go_on_as_they_are_and_are_metered_by_their_answers(
    coding: str, data_dir: Path, subset: list[Tape]
):
    played = [Playback(_compressed(tape, coding)) for tape in subset]
    tally = await replay(data_dir, played)
    assert_right(tally)
    assert tally.injected == 0


def _compressed(tape: Tape, coding: str) -> Tape:
    said = (b"Content-Encoding", coding.encode())
    return replace(
        tape,
        request_headers=[*tape.request_headers, said],
        request_body=CODINGS[coding](tape.request_body),
    )


async def test_requests_in_odd_chunks_arrive_whole_and_are_metered(
    data_dir: Path, subset: list[Tape]
):
    played = [Playback(tape) for tape in subset if tape.request_body]
    assert_right(await replay(data_dir, played, in_chunks=True))


async def test_requests_that_are_signed_anew_differ_in_the_signature_alone(
    data_dir: Path, subset: list[Tape], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("A_KEY_ID", KEY_ID)
    monkeypatch.setenv("A_SECRET", SECRET)
    signing = AwsSigning(
        service="bedrock",
        region="eu-west-1",
        access_key_id_env="A_KEY_ID",
        secret_access_key_env="A_SECRET",
    )
    played = [Playback(e) for e in subset if e.recording.provider == "bedrock"]
    assert_right(await replay(data_dir, played, signing=signing))
