"""Limits, and how text becomes SQL; what needs chDB itself is tested through the store process."""

from exporters.clickhouse.engine import EngineError, escaped, quoted


def test_values_are_written_so_that_nothing_ends_them() -> None:
    assert escaped("a\\\n\t\r\0'") == "a\\\\\\n\\t\\r\\0'"
    assert quoted("it's \\' \n") == "'it\\'s \\\\\\' \\n'"


def test_an_error_carries_clickhouses_code_and_not_our_check() -> None:
    error = EngineError(
        "Code: 62. DB::Exception: Syntax error: x. : In scope SELECT formatQuerySingleLine('a. (B)') AS text. (SYNTAX_ERROR)"
    )
    assert error.code == 62
    assert str(error) == "Code: 62. DB::Exception: Syntax error: x. . (SYNTAX_ERROR)"
    assert EngineError("something else").code == 1002
