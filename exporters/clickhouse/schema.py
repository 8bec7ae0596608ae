"""The tables of the database `tacho` and how they change from version to version.

What lives here: columns, DDL, versioned migrations, the same for the embedded store, a server and a cluster. What does not:
sending the statements (`sink.py`), questions to the tables (`dashboards/queries/*.sql`).

`steps` and `events` are plain MergeTree tables of immutable rows: no materialised views on money, since those are not atomic
with their base in a crash, and no ReplacingMergeTree, whose duplicates vanish only some day. Exactly once comes from one
token per batch and `non_replicated_deduplication_window`; each batch must be sent again with the same bytes until it is in.

Rows arrive as JSONEachRow: DateTime64(6) as 'YYYY-MM-DD hh:mm:ss.ffffff' (UTC), decimals as strings of 12 places, UInt64 as
numbers, null for what nobody knows. `exporters/enrich/rows.py` has exactly these columns in exactly this order.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from exporters.clickhouse.columns import EVENTS, PRICES, STEPS

DATABASE: Final = "tacho"
DEDUPLICATION_WINDOW: Final = 10_000
"""Insert blocks whose tokens a table remembers. One batch is in flight per table, so a retry can never fall out of it."""


class Table(msgspec.Struct, frozen=True):
    """One table as its DDL needs it."""

    name: str
    columns: tuple[tuple[str, str], ...]
    order_by: str
    partition_by: str = ""
    expires: bool = False
    """Whether whole parts go once their rows are older than `retention_days`."""
    indexes: tuple[str, ...] = ()
    """Columns that are looked up by exact value."""
    sharding: str = "rand()"


TABLES: Final = (
    # step_seq is NULL where no run is known, so that step_id (time-ordered) stands in the key instead.
    Table(
        "steps",
        STEPS,
        "tenant, agent, toStartOfHour(ts), root_run_id, step_id, attempt, part",
        "toDate(ts)",
        expires=True,
        indexes=("run_id", "trace_id", "step_id"),
        sharding="cityHash64(tenant, root_run_id)",
    ),
    Table(
        "events",
        EVENTS,
        "tenant, agent, toStartOfHour(ts), run_id, event_id",
        "toDate(ts)",
        expires=True,
        indexes=("run_id", "step_id"),
        sharding="cityHash64(tenant, run_id)",
    ),
    Table("prices", PRICES, "price_version, provider, model"),
)

VERSION_COLUMNS = (
    ("version", "UInt32"),
    ("applied_at", "DateTime64(6, 'UTC') DEFAULT now64(6)"),
)
VERSIONS = Table("schema_version", VERSION_COLUMNS, "version")

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = ((),)
"""Version n's statements stand at index n - 1, with `{database}` and `{on_cluster}`; each can be run again.

Version 1 is the tables above as first published. A new column goes into the tuple above (new installations) *and* into a new
entry here (`ALTER TABLE {database}.steps{on_cluster} ADD COLUMN IF NOT EXISTS …`); entries are never edited once published.
"""
VERSION: Final = len(MIGRATIONS)


class Layout(msgspec.Struct, frozen=True):
    """Where the tables live."""

    database: str = DATABASE
    cluster: str = ""
    """Name of a cluster: tables become Replicated, with a Distributed table of the plain name over them."""
    retention_days: int = 90


def create(layout: Layout) -> list[str]:
    """Give the statements that make what is missing; they change nothing that exists."""
    statements = [
        f"CREATE DATABASE IF NOT EXISTS {layout.database}{_on_cluster(layout)}"
    ]
    for table in (*TABLES, VERSIONS):
        statements.append(_create_table(table, layout))
        if layout.cluster:
            statements.append(_create_distributed(table, layout))
    return statements


def migrate(layout: Layout, found: int) -> list[str]:
    """Give the statements from version `found` (0: nothing was there before `create`) to `VERSION`."""
    if found >= VERSION:
        return []
    steps = [] if found == 0 else [s for m in MIGRATIONS[found:] for s in m]
    names = {"database": layout.database, "on_cluster": _on_cluster(layout)}
    return [
        *(statement.format(**names) for statement in steps),
        f"INSERT INTO {layout.database}.schema_version (version) SELECT {VERSION}",
    ]


def version_query(layout: Layout) -> str:
    """Give the question for the version that is in place; 0 where none is."""
    return f"SELECT max(version) FROM {layout.database}.schema_version"


def names(columns: Sequence[tuple[str, str]]) -> list[str]:
    """Give the names of columns, in order."""
    return [name for name, _ in columns]


def _on_cluster(layout: Layout) -> str:
    return f" ON CLUSTER '{layout.cluster}'" if layout.cluster else ""


def _create_table(table: Table, layout: Layout) -> str:
    columns = [f"    {name} {kind}" for name, kind in table.columns]
    columns += [
        f"    INDEX by_{name} {name} TYPE bloom_filter(0.001) GRANULARITY 1"
        for name in table.indexes
    ]
    local = f"{table.name}_local" if layout.cluster else table.name
    lines = [
        f"CREATE TABLE IF NOT EXISTS {layout.database}.{local}{_on_cluster(layout)} (",
        ",\n".join(columns),
        f") ENGINE = {_engine(layout, local)}",
    ]
    if table.partition_by:
        lines.append(f"PARTITION BY {table.partition_by}")
    lines.append(f"ORDER BY ({table.order_by})")
    if table.expires and layout.retention_days > 0:
        lines.append(f"TTL toDateTime(ts) + INTERVAL {layout.retention_days} DAY")
    lines.append("SETTINGS " + ", ".join(_table_settings(layout)))
    return "\n".join(lines)


def _engine(layout: Layout, local: str) -> str:
    if not layout.cluster:
        return "MergeTree"
    path = f"/clickhouse/tables/{{shard}}/{layout.database}/{local}"
    return f"ReplicatedMergeTree('{path}', '{{replica}}')"


def _table_settings(layout: Layout) -> list[str]:
    settings = ["ttl_only_drop_parts = 1"]
    if not layout.cluster:
        return [
            f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}",
            *settings,
        ]
    # The default of an hour would forget a token while a longer outage is still being made up for.
    return [
        f"replicated_deduplication_window = {DEDUPLICATION_WINDOW}",
        "replicated_deduplication_window_seconds = 604800",
        *settings,
    ]


def _create_distributed(table: Table, layout: Layout) -> str:
    local = f"{layout.database}.{table.name}_local"
    return (
        f"CREATE TABLE IF NOT EXISTS {layout.database}.{table.name}{_on_cluster(layout)} AS {local} "
        f"ENGINE = Distributed('{layout.cluster}', '{layout.database}', '{table.name}_local', {table.sharding})"
    )
