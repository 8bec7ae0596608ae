"""The committed price table is what the script makes of the installed genai-prices, and small enough to ship."""

from pathlib import Path

import msgspec

from proxy.units import KNOWN
from scripts.compile_prices import TARGET, compile_table


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


def test_each_unit_of_the_table_can_be_billed():
    found = set(units(msgspec.json.decode(TARGET.read_bytes())))
    assert len(found) > 20
    assert found <= KNOWN
