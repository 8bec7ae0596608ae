"""Which requests are refused for want of a price."""

import pytest
from msgspec.structs import replace

from proxy.judge.unpriced import refusal
from proxy.model import Ask, Kind

ASK = Ask("openai_chat", "chat", Kind.LLM, True, model="nobody-knows-this")


@pytest.mark.parametrize("kind", [Kind.LLM, Kind.EMBEDDING])
def test_a_model_without_a_price_is_refused_with_what_to_do(kind):
    said = refusal(replace(ASK, kind=kind), "openai", is_unknown=True)
    for word in ("nobody-knows-this", "openai", "prices:", "tacho prices update"):
        assert word in said


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
    assert refusal(ask, "openai", is_unknown=True) == ""


def test_a_known_price_passes():
    assert refusal(ASK, "openai", is_unknown=False) == ""
