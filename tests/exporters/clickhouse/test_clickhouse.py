"""clickhouse-connect, sync and async, as a client that knows nothing of this product."""

import asyncio
import contextlib
from collections.abc import Iterator
from decimal import Decimal

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.helpers.store import StoreProcess


@contextlib.contextmanager
def connect(store: StoreProcess, token: str, **options: object) -> Iterator[Client]:
    host, port = store.address
    client = clickhouse_connect.get_client(
        host=host,
        port=port,
        username="anyone",
        password=token,
        **options,  # type: ignore[arg-type]
    )
    try:
        yield client
    finally:
        client.close()


def test_a_foreign_client_reads(store: StoreProcess) -> None:
    with connect(store, store.read_token) as client:
        assert client.ping()
        values = {"a": "it's\n\t\\ é", "n": 3, "l": ["a", "b'"]}
        answer = client.query(
            "SELECT {a:String}, {n:UInt8}, {l:Array(String)}", parameters=values
        )
        assert answer.result_rows == [tuple(values.values())]
        with client.query_row_block_stream(
            "SELECT number FROM numbers(100000)"
        ) as blocks:
            assert sum(len(block) for block in blocks) == 100_000
        assert (
            client.command(
                "SELECT getSetting('max_threads')", settings={"max_threads": 3}
            )
            == 3
        )
        assert client.raw_query("SELECT 1 AS a", fmt="JSONEachRow") == b'{"a":1}\n'


@pytest.mark.parametrize("method", ["lz4", "zstd", "gzip", "br", False])
def test_a_foreign_client_may_compress(store: StoreProcess, method: str | bool) -> None:
    with connect(store, store.read_token, compress=method) as client:
        rows = client.query(
            "SELECT number, repeat('x', 100) FROM numbers(5000)"
        ).result_rows
        assert (len(rows), rows[-1][0]) == (5000, 4999)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("CREATE TABLE x (a Int8) ENGINE = Memory", 164),
        ("SELECT * FROM file('/etc/passwd')", 497),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 497),
        ("KILL QUERY WHERE 1", 497),
        ("SELECT 1; SELECT 2", 62),
    ],
)
def test_a_foreign_client_is_refused_what_it_may_not_do(
    store: StoreProcess, statement: str, code: int
) -> None:
    with connect(store, store.read_token) as client:
        with pytest.raises(DatabaseError) as caught:
            client.command(statement)
        assert caught.value.code == code
        with pytest.raises(DatabaseError):
            client.insert("prices", [["x"]], column_names=["model"])


def test_a_foreign_client_writes_with_the_write_token(store: StoreProcess) -> None:
    with connect(store, store.write_token) as client:
        client.command(
            "CREATE TABLE typed (a Int8, d Nullable(Decimal(18, 12)), m Map(String, String)) ENGINE = MergeTree ORDER BY a"
        )
        rows = [(1, Decimal("1.500000000000"), {"a": "b"}), (2, None, {})]
        client.insert("typed", rows, column_names=["a", "d", "m"])
        assert client.query("SELECT * FROM typed ORDER BY a").result_rows == rows
        client.command("DROP TABLE typed")


async def test_a_foreign_async_client_asks_many_things_at_once(
    store: StoreProcess,
) -> None:
    host, port = await asyncio.to_thread(lambda: store.address)
    token = await asyncio.to_thread(lambda: store.read_token)
    client = await clickhouse_connect.get_async_client(
        host=host, port=port, username="a", password=token
    )
    try:
        answers = await asyncio.gather(
            *(client.query(f"SELECT {n}") for n in range(20))
        )
    finally:
        await client.close()
    assert [answer.result_rows for answer in answers] == [[(n,)] for n in range(20)]
