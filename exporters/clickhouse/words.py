"""Sets of words written as text, for the allow-lists."""


def words(text: str) -> frozenset[str]:
    """Give the words of a text."""
    return frozenset(text.split())
