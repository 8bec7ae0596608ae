"""Whom a policy concerns."""

import pytest
from msgspec.structs import replace

from proxy.judge.loops import LoopOverride, RepeatSettings
from proxy.judge.matching import Site, effective, fits, overridden
from proxy.model import Kind

SITE = Site("acme", "nightly-7", "caller", "openai", "gpt-5.2-mini", Kind.LLM)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (LoopOverride(), True),
        (LoopOverride(tenant="acme", agent="nightly-?", route="open*", model="*[im]ni"), True),
        (LoopOverride(tenant="ACME"), False),
        (LoopOverride(agent="nightly"), False),
        (LoopOverride(route="anthropic"), False),
        (LoopOverride(model="gpt-4*"), False),
    ],
    ids=["nobody named", "all", "case", "agent", "route", "model"],
)  # fmt: skip
def test_all_patterns_must_fit(where: LoopOverride, expected: bool):
    assert fits(where, SITE) is expected


def test_the_first_override_that_fits_counts_alone_and_keeps_what_it_does_not_name():
    settings = RepeatSettings(
        warn=3,
        when=(
            LoopOverride(agent="other", block=2),
            LoopOverride(agent="nightly-*", block=None),
            LoopOverride(agent="nightly-*", warn=9, mode="off"),
        ),
    )
    now = effective(settings, settings.when, SITE)
    assert (now.mode, now.warn, now.block) == ("observe", 3, None)
    assert effective(settings, settings.when, replace(SITE, agent="x")) is settings


def test_an_override_that_names_nothing_changes_nothing():
    assert overridden(RepeatSettings(), LoopOverride()) == RepeatSettings()
