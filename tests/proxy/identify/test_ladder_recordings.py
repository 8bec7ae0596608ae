"""Runs in recorded traffic, interleaved at random; one credential a provider, as calls of one team have."""

import random
from collections import defaultdict
from itertools import combinations
from typing import Any
from zlib import crc32

import pytest

from tests.helpers.recordings import ALL_TRAFFIC, SUBSET
from tests.helpers.runs.recorded import (
    Heard,
    heard,
    pieces_of_one,
    quotes,
    runs,
    without_copies,
)
from tests.helpers.runs.tracking import Tracker, report

FOLDER = ALL_TRAFFIC if ALL_TRAFFIC.is_dir() else SUBSET
FAILED = (408, 409, 429)


@pytest.fixture(scope="module")
def files() -> dict[str, list[Heard]]:
    kept, left_out = without_copies(heard(FOLDER))
    report(f"{len(kept)} files, {left_out} copies left out")
    return kept


def track(files: dict[str, list[Heard]], seed: int) -> tuple[dict[str, str], dict[str, Any]]:  # fmt: skip
    """Let all calls pass, in an order in which each file's stay in theirs."""
    dice = random.Random(seed)
    order = [source for source, calls in files.items() for _ in calls]
    dice.shuffle(order)
    waiting = {source: iter(calls) for source, calls in files.items()}
    tracker, found, why = Tracker(), {}, {}
    for now, source in enumerate(order):
        call = next(waiting[source])
        agent = dict(call.recording.request_headers).get(b"user-agent", b"?")
        begun = tracker.begin(call.recording.request_body, now * 1000,
                              caller=call.recording.provider, signature=crc32(agent))  # fmt: skip
        status = call.recording.status
        state = "done" if status < 400 else "failed" if status in FAILED or status >= 500 else "rejected"  # fmt: skip
        said = call.said
        tracker.end(begun, now * 1000 + 500, state, said.text, said.calls, said.response_id, said.signatures)  # fmt: skip
        found[call.place] = begun.run.run_id if begun.run else call.place
        why[call.place] = begun.decision
    return found, why


def joined(found: dict[str, str]) -> set[tuple[str, str]]:
    groups = defaultdict(list)
    for place, run_id in sorted(found.items()):
        groups[run_id].append(place)
    return {pair for group in groups.values() for pair in combinations(group, 2)}


@pytest.mark.parametrize("seed", range(3))
def test_runs_in_recordings_are_found_and_not_mixed(files, seed):
    truth = {
        place: f"{source} {run}"
        for source, calls in files.items()
        for place, run in runs(calls).items()
    }
    belongs = pieces_of_one(files)
    source = {
        call.place: belongs[name] for name, calls in files.items() for call in calls
    }
    family = {call.place: f"{call.recording.provider} {call.recording.api}" for calls in files.values() for call in calls}  # fmt: skip
    found, why = track(files, seed)
    real, made = joined(truth), joined(found)
    crews = {belongs[name] for name, calls in files.items() if quotes(calls)}
    in_runs = {place for pair in real for place in pair}
    judged = {pair for pair in made if pair[0] in in_runs and pair[1] in in_runs}
    judged -= {
        pair
        for pair in judged - real
        if source[pair[0]] == source[pair[1]] and source[pair[0]] in crews
    }
    # A conversation whose beginning was not recorded is noise: nothing says whose it is.
    orphans = {call.place for calls in files.values() for call in calls if call.is_later} - in_runs  # fmt: skip
    strangers = {pair for pair in made if source[pair[0]] != source[pair[1]] and orphans.isdisjoint(pair)}  # fmt: skip
    by_family: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for pair in real:
        by_family[family[pair[0]]][0] += pair in made
        by_family[family[pair[0]]][1] += 1
    precision = len(judged & real) / len(judged)
    recall = len(judged & real) / len(real)
    report(f"{len(real)} pairs, precision {precision:.4f}, recall {recall:.4f}, of strangers {len(strangers)} of {len(made)}")  # fmt: skip
    report({name: f"{hit}/{of}" for name, (hit, of) in sorted(by_family.items())})
    for pair in sorted(real - made)[:20]:
        report("missed", pair, [(why[place].source.value, why[place].evidence, source[place][-60:]) for place in pair])  # fmt: skip
    for pair in sorted(strangers)[:20] + sorted(judged - real - strangers)[:20]:
        report("mixed", pair, [(why[place].source.value, why[place].evidence, source[place][-60:]) for place in pair])  # fmt: skip
    assert precision >= 0.99
    assert recall >= 0.97
    assert 1 - len(strangers) / len(made) >= 0.97
