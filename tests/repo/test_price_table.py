"""The committed price table is what the script makes of the installed genai-prices, and small enough to ship."""

from pathlib import Path

import msgspec

from proxy.meter.rates import BUCKET_UNITS, FEE_UNITS
from scripts.compile_prices import TARGET, compile_table

NOT_COUNTED = {
    "cache_audio_read",
    "cache_image_read",
    "input_video",
    "output_video",
    "output_image",
    "output_citation",
    "audio_hours",
    "input_audio_hours",
    "input_mchars",
    "input_document_kpages",
    "input_annotated_document_kpages",
    "input_text_messages_kcount",
}
"""Units that no bucket of `Usage` counts yet."""


def units(node):
    if isinstance(node, dict):
        for name, value in node.items():
            yield from value if name == "usd" else units(value)
    elif isinstance(node, list):
        for value in node:
            yield from units(value)


def test_the_committed_table_is_what_the_script_makes():
    assert TARGET.read_bytes() == compile_table(), (
        "run `make prices` and commit proxy/meter/price_table.json"
    )


def test_the_table_stays_small():
    assert TARGET.stat().st_size < 600_000
    assert TARGET.parent == Path("proxy/meter").resolve()


def test_each_unit_of_the_table_is_priced_or_known_not_to_be():
    known = (
        {unit for names in BUCKET_UNITS for unit in names}
        | set(FEE_UNITS.values())
        | NOT_COUNTED
    )
    assert set(units(msgspec.json.decode(TARGET.read_bytes()))) <= known
