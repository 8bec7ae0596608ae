"""The tables: their columns are the rows' fields, and making them twice changes nothing."""

import re

import pytest

from exporters.clickhouse import schema
from exporters.clickhouse.columns import EVENTS, PRICES, STEPS
from exporters.clickhouse.schema import Layout, create, migrate, names
from exporters.enrich.columns import PriceRow
from tests.helpers.store import StoreProcess


@pytest.mark.parametrize("table", ["steps", "events"])
def test_the_embedded_table_is_what_the_text_says(
    store: StoreProcess, table: str
) -> None:
    columns = {"steps": STEPS, "events": EVENTS}[table]
    found = store.ask(f"DESCRIBE TABLE tacho.{table} FORMAT TSV").text
    assert [line.split("\t")[0] for line in found.splitlines()] == names(columns)
    made = store.ask(f"SHOW CREATE TABLE {table}").text
    assert "non_replicated_deduplication_window = 10000" in made
    assert "ttl_only_drop_parts = 1" in made
    assert "toIntervalDay(90)" in made


def test_the_table_of_prices_is_kept_for_ever_and_has_the_columns_of_its_rows(
    store: StoreProcess,
) -> None:
    found = store.ask("DESCRIBE TABLE tacho.prices FORMAT TSV").text
    columns = [line.split("\t")[0] for line in found.splitlines()]
    assert columns == names(PRICES) == list(PriceRow.__struct_fields__)
    assert "TTL" not in store.ask("SHOW CREATE TABLE prices").text


def test_made_again_the_tables_and_their_rows_stay(store: StoreProcess) -> None:
    store.write("INSERT INTO prices (price_version, model) SELECT 'v1', 'kept'")
    for statement in create(Layout()):
        assert store.write(statement).status == 200, statement
    assert store.ask("SELECT count() FROM prices WHERE model = 'kept'").text == "1\n"
    assert (
        store.ask("SELECT max(version) FROM schema_version").text
        == f"{schema.VERSION}\n"
    )


def test_a_new_installation_skips_old_migrations_and_notes_the_version() -> None:
    assert migrate(Layout(), 0) == [
        f"INSERT INTO tacho.schema_version (version) SELECT {schema.VERSION}"
    ]
    assert migrate(Layout(), schema.VERSION) == []


def test_an_older_installation_gets_the_alterations_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = (
        (),
        ("ALTER TABLE {database}.steps{on_cluster} ADD COLUMN IF NOT EXISTS x Int8",),
    )
    monkeypatch.setattr(schema, "MIGRATIONS", later)
    monkeypatch.setattr(schema, "VERSION", 2)
    assert migrate(Layout(cluster="c"), 1) == [
        "ALTER TABLE tacho.steps ON CLUSTER 'c' ADD COLUMN IF NOT EXISTS x Int8",
        "INSERT INTO tacho.schema_version (version) SELECT 2",
    ]


def test_on_a_cluster_each_table_is_replicated_with_a_distributed_one_over_it() -> None:
    statements = create(Layout(cluster="main", retention_days=7))
    assert all("ON CLUSTER 'main'" in statement for statement in statements)
    (local,) = [s for s in statements if "tacho.steps_local ON" in s]
    assert (
        "ReplicatedMergeTree('/clickhouse/tables/{shard}/tacho/steps_local', '{replica}')"
        in local
    )
    assert "replicated_deduplication_window_seconds = 604800" in local
    assert "INTERVAL 7 DAY" in local
    (over,) = [
        s
        for s in statements
        if re.match(r"CREATE TABLE IF NOT EXISTS tacho.steps ON", s)
    ]
    assert over.endswith(
        "ENGINE = Distributed('main', 'tacho', 'steps_local', cityHash64(tenant, root_run_id))"
    )


def test_no_retention_means_that_nothing_expires() -> None:
    assert not any("TTL" in statement for statement in create(Layout(retention_days=0)))
