"""The allow-lists against the engine's own lists: a new engine must not bring anything in unseen."""

import msgspec

from exporters.clickhouse.allowed import (
    FUNCTIONS_QUERY,
    OTHER_FUNCTIONS,
    PURE_CATEGORIES,
    SYSTEM_TABLES,
    FunctionRow,
    setting_allowed,
    split_functions,
)
from tests.helpers.store import StoreProcess

IMPURE_CATEGORIES = {
    "AI",
    "Embedded Dictionary",
    "Internal",
    "Introspection",
    "Machine Learning",
    "Other",
    "Time Series",
}


def rows(store: StoreProcess) -> list[FunctionRow]:
    answer = store.ask(FUNCTIONS_QUERY + " FORMAT JSONEachRow")
    return [
        msgspec.json.decode(line, type=FunctionRow) for line in answer.body.splitlines()
    ]


def test_every_category_of_the_engine_has_been_looked_at(store: StoreProcess) -> None:
    found = {r.categories for r in rows(store) if not r.is_aggregate and not r.alias_to}
    assert found == PURE_CATEGORIES | IMPURE_CATEGORIES


def test_every_name_on_the_lists_exists(store: StoreProcess) -> None:
    assert {r.name for r in rows(store)} >= OTHER_FUNCTIONS
    tables = store.ask(
        "SELECT name FROM system.tables WHERE database = 'system'"
    ).text.split()
    assert set(tables) | {"asynchronous_metrics"} >= SYSTEM_TABLES


def test_functions_that_reach_out_are_not_harmless_under_any_name(
    store: StoreProcess,
) -> None:
    functions = split_functions(rows(store))
    for name in (
        "file",
        "FILE",
        "sleep",
        "aiGenerate",
        "AIGenerate",
        "catboostEvaluate",
        "getMacro",
        "fileIf",
    ):
        assert not functions.allows(name), name
    for name in (
        "substr",
        "SUBSTR",
        "quantileTDigestIfState",
        "lower",
        "count",
        "lambda",
    ):
        assert functions.allows(name), name


def test_functions_that_users_made_are_not_harmless() -> None:
    row = FunctionRow("mine", False, "", "String", "SQLUserDefined")
    assert not split_functions([row]).allows("mine")


def test_settings_that_name_files_or_lift_the_guard_cannot_be_changed() -> None:
    for name in (
        "output_format_schema",
        "format_schema",
        "format_template_row",
        "readonly",
        "allow_introspection_functions",
        "input_format_record_errors_file_path",
        "max_x'; DROP TABLE steps",
    ):
        assert not setting_allowed(name), name
    for name in (
        "max_threads",
        "output_format_json_quote_decimals",
        "insert_deduplication_token",
    ):
        assert setting_allowed(name), name
