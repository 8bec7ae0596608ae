"""Which requests are refused for want of a price."""

import pytest
from msgspec.structs import replace

from proxy.judge.unpriced import verdict
from proxy.model import Ask, Kind

ASK = Ask("openai_chat", "chat", Kind.LLM, True, model="nobody-knows-this")


@pytest.mark.parametrize("kind", [Kind.LLM, Kind.EMBEDDING])
def test_a_model_without_a_price_is_refused_with_what_to_do(kind):
    found = verdict(replace(ASK, kind=kind), "openai", is_unknown=True)
    assert found is not None
    assert (found.action, found.policy, found.reason, found.is_final) == (
        "block",
        "unpriced",
        "no_price",
        True,
    )
    for word in ("nobody-knows-this", "openai", "prices:", "tacho prices update"):
        assert word in found.message


@pytest.mark.parametrize(
    "ask",
    [
        replace(ASK, model=""),
        replace(ASK, is_step=False),
        replace(ASK, kind=Kind.TOOL),
    ],
    ids=["not named", "no work", "no model"],
)
def test_what_names_no_model_that_is_billed_passes(ask):
    assert verdict(ask, "openai", is_unknown=True) is None


def test_a_known_price_passes():
    assert verdict(ASK, "openai", is_unknown=False) is None
