"""Native for newer clients, against bytes that are put together without walking over them."""

import pytest

from exporters.clickhouse.native import BLOCK_INFO, SETTINGS, UnknownTypeError, upgrade
from tests.helpers.store import StoreProcess

COLUMNS = {
    "integers": "number",
    "small": "number::Int8",
    "wide": "number::Int256",
    "strings": "repeat('é', number * 100)",
    "long strings": "repeat('x', 20000)",
    "nullable": "if(number % 2, NULL, toString(number))",
    "low cardinality": "toLowCardinality(toString(number))",
    "nullable low cardinality": "toLowCardinality(if(number % 2, NULL, 'a'))",
    "array of low cardinality": "[toLowCardinality(toString(number))]",
    "map of low cardinality": "map(toLowCardinality('a'), number)",
    "tuple of low cardinality": "(toLowCardinality('a'), number, [toLowCardinality('b')])",
    "many keys": "arrayMap(x -> toLowCardinality(toString(x)), range(300))",
    "empty arrays of low cardinality": "emptyArrayString()::Array(LowCardinality(String))",
    "json": """'{"a": 1}'::JSON""",
    "fixed": "toFixedString('abc', 5)",
    "decimal": "number::Decimal(18, 12)",
    "wide decimal": "number::Decimal(38, 12)",
    "nullable decimal": "number::Nullable(Decimal(9, 2))",
    "time": "toDateTime64(number, 6, 'UTC')",
    "date": "toDate(number)",
    "enum": "'a'::Enum8('a' = 1, 'b,(' = 2)",
    "array": "range(number)",
    "array of strings": "arrayMap(x -> toString(x), range(number))",
    "nested array": "[range(number), []]",
    "map": "map('k', number, 'l', 2)",
    "tuple": "(number, toString(number), [1, 2])",
    "named tuple": "(number, 'x')::Tuple(a UInt64, `b c` String)",
    "nothing": "NULL",
    "empty array": "[]",
    "uuid": "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')",
    "bool": "number = 1",
    "interval": "toIntervalDay(number)",
    "point": "(1.0, 2.0)::Point",
    "simple aggregate": "number::SimpleAggregateFunction(sum, UInt64)",
}


def native(store: StoreProcess, columns: str, **query: str) -> bytes:
    answer = store.ask(
        f"SELECT {columns} FROM numbers(5) FORMAT Native", **SETTINGS, **query
    )
    assert answer.status == 200, answer.text
    return answer.body


def types(store: StoreProcess, columns: str) -> str:
    """Give the type as it stands in the format that only names types."""
    answer = store.ask(
        f"SELECT {columns} FROM numbers(5) LIMIT 1 FORMAT RowBinaryWithNamesAndTypes"
    )
    return answer.body[4:][: answer.body[3]].decode()


def text(value: bytes) -> bytes:
    assert len(value) < 128
    return bytes([len(value)]) + value


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_each_type_gets_its_byte_where_its_data_begins(
    store: StoreProcess, column: str
) -> None:
    named = f"{column} AS c"
    old = native(store, named)
    kind = types(store, named)
    head = b"\x01\x05" + text(b"c") + text(kind.encode())
    assert old.startswith(head)
    twice = native(store, f"{named}, number AS n")
    numbers = native(store, "number AS n")[2:]
    assert upgrade(old) == BLOCK_INFO + head + b"\0" + old[len(head) :]
    split = len(numbers) - 40
    assert twice == b"\x02" + old[1:] + numbers
    assert upgrade(twice) == (
        BLOCK_INFO
        + b"\x02"
        + head[1:]
        + b"\0"
        + old[len(head) :]
        + numbers[:split]
        + b"\0"
        + numbers[split:]
    )


def test_every_block_of_a_long_result_is_upgraded(store: StoreProcess) -> None:
    old = store.ask(
        "SELECT number AS n FROM numbers(200000) FORMAT Native", max_block_size="50000"
    ).body
    assert upgrade(old).count(BLOCK_INFO) == old.count(b"\x01n\x06UInt64") > 1


def test_a_client_that_asks_for_it_gets_it_over_http(store: StoreProcess) -> None:
    new = native(store, "number AS n", client_protocol_version="54460")
    assert new == upgrade(native(store, "number AS n"))
    assert native(store, "number AS n", client_protocol_version="54405") == native(
        store, "number AS n"
    )


def test_a_type_that_cannot_be_walked_over_is_refused_in_words(
    store: StoreProcess,
) -> None:
    statement = "SELECT uniqState(number) FROM numbers(3) FORMAT Native"
    answer = store.ask(statement, client_protocol_version="54460")
    assert (answer.status, answer.code) == (501, 48)
    assert "toString()" in answer.text
    with pytest.raises(UnknownTypeError, match="AggregateFunction"):
        upgrade(store.ask(statement).body)


def test_nothing_stays_nothing() -> None:
    assert upgrade(b"") == b""
