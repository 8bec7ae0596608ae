"""The kinds of nodes and definitions that a statement's tree may hold.

What lives here: names as `parseQueryToJSON` writes them. What does not: functions, tables and settings (`allowed.py`), the walk
(`tree.py`).
"""

from typing import Final

from exporters.clickhouse.words import words

READ_STATEMENTS: Final = {
    "SelectWithUnionQuery": "SELECT",
    "SelectIntersectExceptQuery": "SELECT",
    "ExplainQuery": "EXPLAIN",
    "ShowTablesQuery": "SHOW",
    "ShowColumnsQuery": "SHOW",
    "ShowIndexesQuery": "SHOW",
}
WRITE_STATEMENTS: Final = {
    "InsertQuery": "INSERT",
    "CreateQuery": "CREATE",
    "AlterQuery": "ALTER",
    "DropQuery": "DROP",
}

PARTS: Final = words(
    """
    ArrayJoin Asterisk ColumnsApplyTransformer ColumnsExceptTransformer ColumnsListMatcher ColumnsRegexpMatcher
    ColumnsReplaceTransformer ColumnsReplaceTransformer::Replacement ColumnsTransformerList DataType ExpressionList Function
    Identifier InterpolateElement Literal OrderByElement QualifiedAsterisk QualifiedColumnsListMatcher
    QualifiedColumnsRegexpMatcher QueryParameter SampleRatio SelectIntersectExceptQuery SelectQuery SelectWithUnionQuery SetQuery
    StorageOrderByElement Subquery TableExpression TableIdentifier TableJoin TablesInSelectQuery TablesInSelectQueryElement
    WindowDefinition WindowListElement WithElement
    """
)
WRITE_PARTS: Final = PARTS | frozenset(
    {
        "AlterCommand",
        "ColumnDeclaration",
        "Columns definition",
        "ConstraintDeclaration",
        "IndexDeclaration",
        "Storage",
        "TTLElement",
    }
)
ENGINES: Final = frozenset(
    {
        "AggregatingMergeTree",
        "Atomic",
        "MergeTree",
        "ReplacingMergeTree",
        "SummingMergeTree",
        "Memory",
        "Null",
    }
)
DEFINITIONS: Final = frozenset({"CODEC", "TABLE_ENGINE", "DATABASE_ENGINE"})
CODECS: Final = frozenset(
    {
        "CODEC",
        "Default",
        "Delta",
        "DoubleDelta",
        "Gorilla",
        "LZ4",
        "NONE",
        "T64",
        "ZSTD",
    }
)
INDEX_TYPES: Final = frozenset({"bloom_filter", "minmax", "set"})
ALTER_COMMANDS: Final = words(
    """
    ADD_COLUMN ADD_INDEX COMMENT_COLUMN DELETE DROP_COLUMN DROP_INDEX DROP_PARTITION MATERIALIZE_COLUMN MATERIALIZE_INDEX
    MATERIALIZE_TTL MODIFY_COLUMN MODIFY_SETTING MODIFY_TTL REMOVE_TTL RENAME_COLUMN UPDATE
    """
)
