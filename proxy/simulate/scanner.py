"""Takes words and values from a text, one after the other, and says where something else stands.

What lives here: words, names, numbers, JSON. What does not: the grammar of plans (`parser.py`).
"""

import json
import math
import re
from typing import Any

MAX_SECONDS = 3600.0
_SHOWN = 24

_WORD = re.compile(r"[a-z][a-z-]*!?")
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_SPACE = re.compile(r"\s*")


class PlanError(Exception):
    """A plan that cannot be read."""


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_constant)


class Scanner:
    """A place in a text; whatever is taken moves it on. Raises `PlanError` where something else was expected."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self._start = at

    def error(self, problem: str) -> PlanError:
        """Make an error that says where it is."""
        shown = self.text[self.at : self.at + _SHOWN]
        where = f"before {shown!r}" if shown else "at the end of the text"
        return PlanError(
            f"the plan cannot be read at character {self.at - self._start + 1}, {where}: {problem}"
        )

    def skip(self) -> None:
        """Pass over spaces."""
        found = _SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def eat(self, sign: str) -> bool:
        """Take a sign, if it is next."""
        self.skip()
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    def peek(self) -> str:
        """Look at the next word."""
        self.skip()
        found = _WORD.match(self.text, self.at)
        return found[0] if found else ""

    def word_is(self, word: str) -> bool:
        """Whether this word is next."""
        return self.peek() == word

    def word(self) -> str:
        """Take the next word."""
        word = self.peek()
        self.at += len(word)
        return word

    def keyword(self, word: str) -> bool:
        """Take this word, if it is next."""
        if self.peek() != word:
            return False
        self.at += len(word)
        return True

    def expect(self, word: str) -> None:
        """Take this word."""
        if not self.keyword(word):
            raise self.error(f"expected {word}")

    def name(self) -> str:
        """Take the name of a tool."""
        self.skip()
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise self.error("expected the name of a tool")
        self.at = found.end()
        return found[0]

    def number(self, what: str) -> float:
        """Take a number."""
        self.skip()
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            raise self.error(f"expected {what}")
        self.at = found.end()
        return float(found[0])

    def count(self, what: str, most: int) -> int:
        """Take a whole number, `most` at most."""
        number = self.number(what)
        if number > most or not math.isclose(number, round(number)):
            raise self.error(f"expected {what}: a whole number, {most} at most")
        return round(number)

    def seconds(self) -> float:
        """Take a duration."""
        number = self.number("a number of seconds")
        if number > MAX_SECONDS:
            raise self.error(f"expected {MAX_SECONDS:.0f} seconds at most")
        return number

    def json(self, what: str) -> Any:
        """Take a JSON value."""
        self.skip()
        try:
            value, self.at = _JSON.raw_decode(self.text, self.at)
        except (ValueError, RecursionError) as error:
            raise self.error(f"expected {what} ({error})") from None
        return value

    def arguments(self) -> dict[str, Any] | None:
        """Take a JSON object, if one is next."""
        self.skip()
        if not self.text.startswith("{", self.at):
            return None
        value = self.json("arguments as a JSON object")
        assert isinstance(value, dict)
        return value
