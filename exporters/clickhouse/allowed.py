"""What a statement sent to the embedded store may use: the allow-lists of the statement check.

What lives here: sets of names, and how the engine's own list of functions is split by them. What does not: reading statements
(`statements.py`). chDB has no users and no grants, and its SQL reads and writes files even under `readonly=1`; so each list names
what is harmless, and whatever a newer engine adds stays refused until somebody has looked at it.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from exporters.clickhouse.words import words

PURE_CATEGORIES: Final = frozenset(
    {
        "Arithmetic",
        "Arrays",
        "Bit",
        "Bitmap",
        "Comparison",
        "Conditional",
        "Dates and Times",
        "Dictionary",
        "Distance",
        "Encoding",
        "Encryption",
        "Financial",
        "Geo",
        "Geo Polygon",
        "Hash",
        "IP Address",
        "JSON",
        "Logical",
        "Map",
        "Mathematical",
        "Null",
        "NumericIndexedVector",
        "QBit",
        "Random Number",
        "Rounding",
        "String",
        "String Replacement",
        "String Search",
        "String Splitting",
        "Time Window",
        "Tuple",
        "Type Conversion",
        "URL",
        "UUID",
    }
)
"""Categories of `system.functions` whose members only compute. `Dictionary` reads dictionaries, which only a writer can make."""

OTHER_FUNCTIONS: Final = words(
    """
    bar blockNumber blockSize byteSize caseWithExpression caseWithoutExpression countDigits currentDatabase currentSchemas currentUser
    defaultValueOfArgumentType defaultValueOfTypeName digits displayName dumpColumnStructure errorCodeToName finalizeAggregation
    formatQuery formatQueryOrNull formatQuerySingleLine formatQuerySingleLineOrNull formatReadableDecimalSize formatReadableQuantity
    formatReadableSize formatReadableTimeDelta getSetting getSizeOfEnumType getSubcolumn globalVariable highlightQuery hostName identity
    ignore indexHint initializeAggregation initialQueryID isConstant isDecimalOverflow lowCardinalityIndices lowCardinalityKeys
    materialize minSampleSizeContinuous minSampleSizeConversion neighbor nested normalizedQueryHash normalizedQueryHashKeepNames
    normalizeQuery normalizeQueryKeepNames parseISO8601Duration parseReadableSize parseReadableSizeOrNull parseReadableSizeOrZero
    parseTimeDelta partitionId queryID revision rowNumberInAllBlocks rowNumberInBlock runningAccumulate runningDifference
    runningDifferenceStartingWithFirstValue serverUUID throwIf toColumnTypeName toTypeName transform uptime variantElement variantType
    version visibleWidth _CAST isMergeTreePartCoveredBy timeSeriesRange timeSeriesFromGrid seriesDecomposeSTL seriesOutliersDetectTukey
    """
)
"""Harmless members of the categories that are not pure."""

SYNTAX_FUNCTIONS: Final = frozenset(
    {"lambda", "exists", "grouping", "untuple", "rollup", "cube"}
)
"""Names that the parser itself makes and `system.functions` does not list."""

TABLE_FUNCTIONS: Final = frozenset(
    {
        "generate_series",
        "generaterandom",
        "generateseries",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "values",
        "view",
        "zeros",
        "zeros_mt",
    }
)

COMBINATOR: Final = re.compile(
    r"(?:If|Array|Map|SimpleState|State|MergeState|Merge|ForEach|Distinct|OrDefault|OrNull|Resample|ArgMin|ArgMax)$"
)

SYSTEM_TABLES: Final = words(
    """
    aggregate_function_combinators asynchronous_metrics build_options clusters collations columns completions contributors
    current_roles data_skipping_indices data_type_families databases dictionaries disks enabled_roles events formats functions
    keywords licenses macros merge_tree_settings merges metrics mutations numbers numbers_mt one parts parts_columns processes
    projections settings table_engines table_functions tables time_zones view_refreshes warnings zeros zeros_mt
    """
)
"""Tables of `system` without paths of other services, credentials or other processes' memory."""

SETTINGS: Final = words(
    """
    aggregate_functions_null_for_empty allow_experimental_analyzer allow_experimental_json_type allow_suspicious_low_cardinality_types
    any_join_distinct_right_table_keys async_insert asterisk_include_alias_columns asterisk_include_materialized_columns
    cancel_http_readonly_queries_on_client_close cast_keep_nullable compile_expressions count_distinct_implementation
    deduplicate_blocks_in_dependent_materialized_views distributed_product_mode empty_result_for_aggregation_by_empty_set
    enable_analyzer enable_named_columns_in_function_tuple extremes final flatten_nested float_precision force_index_by_date
    force_primary_key group_by_overflow_mode group_by_use_nulls insert_deduplicate insert_deduplication_token insert_distributed_sync
    insert_null_as_default join_algorithm join_default_strictness join_use_nulls limit log_comment log_queries
    low_cardinality_allow_in_native_format mutations_sync alter_sync offset optimize_read_in_order optimize_move_to_prewhere
    prefer_column_name_to_alias priority read_overflow_mode result_overflow_mode select_sequential_consistency session_timezone
    timeout_overflow_mode totals_mode transform_null_in union_default_mode use_skip_indexes wait_for_async_insert
    """
)
TABLE_SETTINGS: Final = frozenset(
    {
        "index_granularity",
        "index_granularity_bytes",
        "min_bytes_for_wide_part",
        "min_rows_for_wide_part",
        "non_replicated_deduplication_window",
        "ttl_only_drop_parts",
    }
)
"""What CREATE TABLE may set; `disk`, for one, would write elsewhere."""

SETTING_PREFIXES: Final = (
    "cast_string_to_",
    "date_time_",
    "format_csv_",
    "input_format_",
    "max_",
    "output_format_",
)
SETTING_NAME: Final = re.compile(r"[a-z0-9_]{1,100}")
UNSAFE_SETTING: Final = re.compile(r"schema|template|path|url|file|http|disk|cache")
"""Settings that name files or addresses hide behind harmless prefixes (`output_format_schema` writes one)."""


class Functions(msgspec.Struct, frozen=True):
    """The engine's functions, lower case: harmless ones, and those that combinators may be put on."""

    harmless: frozenset[str]
    aggregates: frozenset[str]

    def allows(self, name: str) -> bool:
        """Tell whether a call of `name` can only compute."""
        low = name.lower()
        if low in self.harmless or low in SYNTAX_FUNCTIONS:
            return True
        while (shorter := COMBINATOR.sub("", name)) != name:
            name = shorter
            if name.lower() in self.aggregates:
                return True
        return False


class FunctionRow(msgspec.Struct, frozen=True):
    """One row of `system.functions`."""

    name: str
    is_aggregate: bool
    alias_to: str
    categories: str
    origin: str


FUNCTIONS_QUERY: Final = "SELECT name, is_aggregate::Bool AS is_aggregate, alias_to, categories, toString(origin) AS origin FROM system.functions"


def split_functions(rows: Iterable[FunctionRow]) -> Functions:
    """Sort the engine's functions; an alias is as harmless as what it stands for."""
    known = {row.name: row for row in rows if row.origin == "System"}
    harmless = {name for name, row in known.items() if _harmless(row)}
    aliases = {
        name for name, row in known.items() if row.alias_to and row.alias_to in harmless
    }
    return Functions(
        frozenset(name.lower() for name in harmless | aliases),
        frozenset(name.lower() for name, row in known.items() if row.is_aggregate),
    )


def _harmless(row: FunctionRow) -> bool:
    return (
        row.is_aggregate
        or row.categories in PURE_CATEGORIES
        or row.name in OTHER_FUNCTIONS
    )


def setting_allowed(name: str) -> bool:
    """Tell whether a client may change this setting (limits are capped besides)."""
    if name in SETTINGS:
        return True
    return (
        SETTING_NAME.fullmatch(name) is not None
        and name.startswith(SETTING_PREFIXES)
        and not UNSAFE_SETTING.search(name)
    )
