"""The units are genai-prices' own, and lie in each other as they do there."""

from genai_prices.units import _get_registry

from proxy.model import Usage
from proxy.units import BUCKET_UNITS, DETAIL_UNITS, FEE_UNITS, KNOWN, pieces_per_price

REGISTRY = _get_registry()
THEIRS = {
    unit.price_key.removesuffix("_mtok"): unit for unit in REGISTRY.units.values()
}


def test_there_are_no_other_units():
    assert THEIRS.keys() == KNOWN


def test_each_bucket_has_its_chain():
    assert len(BUCKET_UNITS) == len(Usage.__struct_fields__)
    assert BUCKET_UNITS[3] == ("cache_write_1h", "cache_write", "input")
    assert BUCKET_UNITS[5] == ("output_reasoning", "output")


def test_a_chain_has_all_units_that_a_token_lies_in_the_most_special_first():
    chains = [*BUCKET_UNITS, *(chain for _, chain in DETAIL_UNITS.values())]
    for chain in chains:
        own = THEIRS[chain[0]]
        around = REGISTRY.ancestor_usage_keys(own.usage_key) | {own.usage_key}
        assert {THEIRS[unit].usage_key for unit in chain} == around
        sizes = [len(THEIRS[unit].dimensions) for unit in chain]
        assert sizes == sorted(sizes, reverse=True)


def test_a_detail_lies_in_the_bucket_that_counts_it():
    names = Usage.__struct_fields__
    found = {unit: names[bucket] for unit, (bucket, _) in DETAIL_UNITS.items()}
    assert found.items() >= {
        "cache_audio_read": "cache_read",
        "cache_image_write_1h": "cache_write_long",
        "cache_write_5m": "cache_write",
        "input_video": "input",
        "input_tool": "input",
        "input_audio_tool": "audio_in",
        "input_image_tool": "image_in",
        "output_image": "output",
        "output_citation": "output",
        "output_audio_citation": "audio_out",
        "output_text_reasoning": "reasoning",
    }.items()  # fmt: skip


def test_a_fee_is_for_as_many_pieces_as_they_say():
    fees = {unit for units in FEE_UNITS.values() for unit in units}
    assert {unit: pieces_per_price(unit) for unit in fees} == {
        unit: THEIRS[unit].per for unit in fees
    }
