"""What the write token may define: each case goes through a real store over HTTP."""

import pytest

from tests.helpers.store import StoreProcess

READONLY, ACCESS_DENIED, SYNTAX_ERROR = 164, 497, 62


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE default.x (a Int8) ENGINE = Memory",
        "CREATE TABLE x (a String) ENGINE = File(CSV, '/tmp/x')",
        "CREATE TABLE x (a String) ENGINE = URL('http://127.0.0.1:1')",
        "CREATE TABLE x (a String DEFAULT file('/etc/hostname')) ENGINE = Memory",
        "CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '/tmp/x/')",
        "CREATE TABLE x AS file('/etc/hostname')",
        "CREATE VIEW x AS SELECT * FROM file('/etc/hostname')",
        "CREATE DICTIONARY x (a UInt64) PRIMARY KEY a SOURCE(FILE(PATH '/etc/hostname' FORMAT 'CSV')) LAYOUT(FLAT()) LIFETIME(1)",
        "CREATE DATABASE x",
        "DROP DATABASE system",
        "ALTER TABLE steps FETCH PARTITION 1 FROM '/x'",
        "INSERT INTO system.one VALUES (1)",
        "INSERT INTO steps (attempt_id) SELECT file('/etc/hostname')",
        "INSERT INTO FUNCTION file('/tmp/x') VALUES (1)",
        "INSERT INTO steps FROM INFILE '/etc/hostname' FORMAT CSV",
    ],
)
def test_the_write_token_writes_only_our_tables(
    store: StoreProcess, statement: str
) -> None:
    answer = store.write(statement)
    assert answer.code in (ACCESS_DENIED, READONLY, SYNTAX_ERROR), answer.text


def test_what_the_product_itself_defines_passes(store: StoreProcess) -> None:
    for statement in (
        "CREATE TABLE IF NOT EXISTS mine (a UInt16 CODEC(Delta, ZSTD(1)), INDEX i a TYPE minmax) ENGINE = MergeTree ORDER BY a TTL toDate(a) + INTERVAL 10000 DAY SETTINGS ttl_only_drop_parts = 1",
        "ALTER TABLE mine ADD COLUMN IF NOT EXISTS b Nullable(Decimal(18, 12))",
        "CREATE VIEW mine_too AS SELECT a, sum(b) AS b FROM mine GROUP BY a",
        "TRUNCATE TABLE mine",
        "DROP TABLE mine_too",
        "DROP TABLE mine",
    ):
        answer = store.write(statement)
        assert answer.status == 200, answer.text
