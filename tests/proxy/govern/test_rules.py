"""What of the policies counts for a call: by its site, looked up once."""

from msgspec.structs import replace

from proxy.govern.rules import Rules
from proxy.judge.bench import Bench
from proxy.judge.gates import Gates
from proxy.judge.settings import PolicySettings
from proxy.judge.tool_call_settings import ToolCallOverride, ToolCallSettings
from tests.helpers.judging import TERMS
from tests.proxy.govern.test_asking import asking

_OFF = PolicySettings(
    **{
        name: replace(getattr(PolicySettings(), name), mode="off")
        for name in (
            "backstop", "caps", "spend_rate", "repeat", "cycle", "same_error", "no_progress", "breaker", "rate_gate", "quota_gate", "tool_calls",
        )
    }
)  # fmt: skip


def rules_of(settings: PolicySettings) -> Rules:
    return Rules(Bench(settings, TERMS), Gates(settings.gates, TERMS.key), settings.tool_calls)  # fmt: skip


def test_where_all_is_off_nothing_limits_a_call():
    assert not rules_of(_OFF).heed(asking()).is_limited
    for name in ("caps", "breaker", "tool_calls"):
        on = replace(_OFF, **{name: getattr(PolicySettings(), name)})
        assert rules_of(on).heed(asking()).is_limited


def test_answers_are_judged_by_the_settings_for_their_site():
    others = ToolCallSettings("off", when=(ToolCallOverride(agent="w*", mode="enforce"),))  # fmt: skip
    rules = rules_of(replace(_OFF, tool_calls=others))
    heed = rules.heed(asking())
    assert (heed.tool_calls.mode, heed.is_limited) == ("enforce", True)
    assert rules.heed(asking()) is heed
