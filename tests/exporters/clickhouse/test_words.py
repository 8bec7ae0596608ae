"""Words in a text."""

from exporters.clickhouse.words import words


def test_words_are_what_stands_between_spaces_and_lines() -> None:
    assert words(" a b\n  c a\n") == {"a", "b", "c"}
