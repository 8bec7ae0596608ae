"""The columns are the rows' fields, and hold their values."""

import msgspec
import pytest

from exporters.clickhouse.columns import EVENTS, STEPS
from exporters.clickhouse.schema import names
from exporters.enrich.columns import EventRow, StepRow
from exporters.enrich.rows import encode_rows
from tests.helpers.store import StoreProcess

NOW = "2026-11-22 10:00:00.123456"


@pytest.mark.parametrize(
    ("columns", "row"), [(STEPS, StepRow), (EVENTS, EventRow)], ids=["steps", "events"]
)
def test_a_table_has_exactly_the_columns_of_its_rows_in_their_order(
    columns: tuple[tuple[str, str], ...], row: type[msgspec.Struct]
) -> None:
    assert tuple(names(columns)) == row.__struct_fields__


def test_rows_keep_every_value_to_the_microsecond_and_the_pico_dollar(
    store: StoreProcess,
) -> None:
    row = StepRow(
        attempt_id="roundtrip",
        ts=NOW,
        closed_at=NOW,
        outcome="completed",
        prompt_hash=2**64 - 1,
        tags={"team": "a"},
        altered=("injected",),
        cost_usd="0.000000000001",
        tok_input=None,
        tok_output=0,
        ctx_hash=(2**64 - 1, 0),
        ctx_cost=("0.000000000001", "1.500000000000"),
        ctx_new=(True, False),
        call_deps=(("a", "b"), ()),
    )
    insert = b"INSERT INTO steps FORMAT JSONEachRow\n" + encode_rows([row])
    assert store.write(insert).status == 200
    found = store.ask(
        "SELECT * FROM steps WHERE attempt_id = 'roundtrip' FORMAT JSONEachRow",
        output_format_json_quote_64bit_integers="0",
        output_format_json_quote_decimals="1",
        output_format_decimal_trailing_zeros="1",
    )
    assert msgspec.json.decode(found.body, type=StepRow) == row
