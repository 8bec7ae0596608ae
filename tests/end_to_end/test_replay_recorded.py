"""Recorded provider traffic through the proxy: the same bytes both ways, and the provider's own numbers in the record.

What lives here: every exchange with OpenAI, Anthropic and Azure OpenAI, in all content codings, whole and in odd slices. What
does not: SDKs (`test_sdk_*.py`), a provider that really asks whether usage is wanted (`test_sdk_injection.py`).
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.recordings import ALL_TRAFFIC, SUBSET
from tests.helpers.replay import CODINGS, Framing, Playback, Tape, tapes
from tests.helpers.replaying import replay

NAMES = ("openai", "anthropic", "azure")
QUICK = {("identity", Framing.CHUNKED), ("gzip", Framing.WHOLE)}
"""Ways in which all traffic is replayed in every run of the tests; all of them take a minute or two with coverage on."""

codings = pytest.mark.parametrize("coding", CODINGS)
framings = pytest.mark.parametrize(
    "framing", Framing, ids=lambda each: each.name.lower()
)


@pytest.fixture(scope="module")
def subset() -> dict[str, list[Tape]]:
    return {name: tapes(SUBSET, name) for name in NAMES}


@pytest.fixture(scope="module")
def all_traffic() -> dict[str, list[Tape]]:
    if not ALL_TRAFFIC.is_dir():
        pytest.skip("the whole recorded traffic is not beside this checkout")
    return {name: tapes(ALL_TRAFFIC, name) for name in NAMES}


@codings
@framings
async def test_the_subset_passes_unchanged_and_is_metered_as_the_provider_says(
    coding: str, framing: Framing, data_dir: Path, subset: dict[str, list[Tape]]
):
    for name, recorded in subset.items():
        played = [Playback(tape, coding, framing) for tape in recorded]
        tally = await replay(data_dir / name, name, played)
        assert tally.wrong == []
        assert (tally.identical, tally.equal) == (tally.exchanges, tally.carrying)


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
async def test_all_recorded_traffic_passes_unchanged_and_is_metered_as_the_provider_says(
    name: str,
    coding: str,
    framing: Framing,
    data_dir: Path,
    all_traffic: dict[str, list[Tape]],
):
    played = [Playback(tape, coding, framing) for tape in all_traffic[name]]
    tally = await replay(data_dir, name, played)
    assert tally.wrong == []
    assert (tally.identical, tally.equal) == (tally.exchanges, tally.carrying)
    assert bool(tally.injected) == (name != "anthropic")
    assert len(tally.stripped) <= 1, (
        "one recording has a usage event that its request did not ask for"
    )


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_compressed_requests_go_on_as_they_are_and_are_metered_by_their_answers(
    coding: str, data_dir: Path, subset: dict[str, list[Tape]]
):
    for name, recorded in subset.items():
        played = [Playback(_compressed(tape, coding)) for tape in recorded]
        tally = await replay(data_dir / name, name, played)
        assert tally.wrong == []
        assert tally.injected == 0
        assert (tally.identical, tally.equal) == (tally.exchanges, tally.carrying)


def _compressed(tape: Tape, coding: str) -> Tape:
    said = (b"Content-Encoding", coding.encode())
    return replace(
        tape,
        request_headers=[*tape.request_headers, said],
        request_body=CODINGS[coding](tape.request_body),
    )


async def test_requests_in_odd_chunks_arrive_whole_and_are_metered(
    data_dir: Path, subset: dict[str, list[Tape]]
):
    for name, recorded in subset.items():
        played = [Playback(tape) for tape in recorded if tape.request_body]
        tally = await replay(data_dir / name, name, played, in_chunks=True)
        assert tally.wrong == []
        assert (tally.identical, tally.equal) == (tally.exchanges, tally.carrying)
