"""Rules change the prices that they are for, exactly, and have a name of their own."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.meter.rates import PriceLine
from proxy.meter.terms import Change, Place, Rule

PRICES = [
    PriceLine({"input": "3", "output": ("15", [(200_000, "22.5")])}),
    PriceLine({"input": "1"}, start="2026-01-01"),
]
FLEX = PriceLine({"input": "1.5", "output": "7"}, when={"service_tier": "flex"})


def test_new_rates_replace_the_units_that_they_name_at_all_times_and_in_all_tiers():
    change = Change({"input": "2"})
    assert [line.usd for line in change.lines(PRICES)] == [
        {"input": "2", "output": ("15", [(200_000, "22.5")])},
        {"input": "2"},
    ]
    assert change.lines(PRICES)[1].start == "2026-01-01"
    (variant,) = change.variants([FLEX])
    assert (variant.usd, variant.when) == ({"output": "7"}, FLEX.when)


def test_a_factor_is_for_all_rates_and_their_steps():
    change = Change(factor="0.9")
    assert change.lines(PRICES)[0].usd == {
        "input": "2.7",
        "output": ("13.5", [(200_000, "20.25")]),
    }
    assert change.variants([FLEX])[0].usd == {"input": "1.35", "output": "6.3"}


def test_new_rates_take_the_factor_too():
    assert Change({"input": "2"}, "0.5").lines(PRICES)[1].usd == {"input": "1"}


def test_a_model_that_is_not_in_the_table_has_the_new_rates_alone():
    assert Change({"input": "2"}).lines(()) == [PriceLine({"input": "2"})]


@settings(max_examples=50, deadline=None)
@given(
    st.decimals(0, 10**6, places=12).map(lambda usd: format(usd, "f")),
    st.decimals(0, 1000, places=6).map(lambda factor: format(factor, "f")),
)
def test_products_are_exact(usd, factor):
    (line,) = Change(factor=factor).lines([PriceLine({"input": usd})])
    product = line.usd["input"]
    assert isinstance(product, str)
    assert Fraction(product) == Fraction(usd) * Fraction(factor)


def test_equal_changes_have_one_tag_and_others_another():
    one, same = Change({"a": "1", "b": "2"}), Change({"b": "2", "a": "1"})
    assert one.tag == same.tag
    assert len({one.tag, Change({"a": "1"}).tag, Change(factor="2").tag}) == 3


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({}, True),
        ({"provider": "gemini"}, True),
        ({"provider": "Google"}, True),
        ({"provider": "vertex"}, False),
        ({"model": "gemini-2.5-pro-preview-05-06"}, True),
        ({"model": "gemini-2.5-pro"}, True),
        ({"model": "GEMINI-2.5*"}, True),
        ({"model": "gemini-?.5-pro"}, True),
        ({"model": "gemini-3*"}, False),
        ({"tenant": "acme"}, True),
        ({"tenant": "other"}, False),
        ({"route": "eu"}, True),
        ({"route": "us"}, False),
        ({"provider": "gemini", "model": "gemini*", "tenant": "acme", "route": "us"}, False),
    ],
)  # fmt: skip
def test_a_rule_fits_where_all_its_conditions_hold(rule, fits):
    place = Place("gemini", "gemini-2.5-pro-preview-05-06", "acme", "eu")
    assert Rule(Change(), **rule).fits(place, "gemini-2.5-pro") is fits
