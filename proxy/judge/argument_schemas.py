"""Schemas that strangers send, made into validators.

What lives here: drafts, patterns, compiling, and where a check failed. What does not: dialects (`schema_dialects.py`), what a check may cost
(`schema_weights.py`), where a schema stands in a request (`offers.py`), what follows from arguments that do not fit (`tool_calls.py`).

Nobody's schema is wrong here: one that cannot be understood, or would take too long, checks nothing, and that is told. Nothing is fetched: a
reference leads into the schema itself, or it is not understood. `format` asserts nothing, as in the newest draft: providers treat it as a hint.
Patterns are tried by an engine without backtracking; those that need it have a limit of steps, beyond which they hold.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import msgspec

from proxy.judge.schema_dialects import repaired
from proxy.judge.schema_weights import (
    UnknownSchema,
    Weight,
    weigh,
    work_of_understanding,
)
from proxy.meter import lenient

_PATTERN_BYTES = 1 << 18
_BACKTRACKS = 1000
_MASK = "(value)"
"""What stands for arguments in errors, which would otherwise be written out for each."""

_Class = Callable[..., jsonschema_rs.Validator]
_NEWEST: _Class = jsonschema_rs.Draft202012Validator
_DRAFTS: dict[str, _Class] = {
    "2020-12": _NEWEST,
    "2019-09": jsonschema_rs.Draft201909Validator,
    "draft-07": jsonschema_rs.Draft7Validator,
    "draft-06": jsonschema_rs.Draft6Validator,
    "draft-04": jsonschema_rs.Draft4Validator,
}
_TRIED = (_NEWEST, jsonschema_rs.Draft7Validator, jsonschema_rs.Draft4Validator)
_PLAIN = jsonschema_rs.RegexOptions(_PATTERN_BYTES, _PATTERN_BYTES)
_BACKTRACKING = jsonschema_rs.FancyRegexOptions(_BACKTRACKS, _PATTERN_BYTES, _PATTERN_BYTES)  # fmt: skip


class Schema:
    """A schema that is understood."""

    def __init__(
        self, check: jsonschema_rs.Validator, weight: Weight, *, is_sure: bool
    ) -> None:
        self._check = check
        self._weight = weight
        self.is_sure = is_sure
        """None of its patterns can give up, so that what does not fit is wrong."""

    def work(self, values: int, depth: int, size: int) -> int:
        """Say what a check of such arguments may cost."""
        work = self._weight.work(values, depth, size)
        if self.is_sure:
            return work
        return work + self._weight.work_of_giving_up(values, depth)

    def work_of_telling(self, values: int, depth: int) -> int:
        """Say what it may cost to find out where they do not fit."""
        return self._weight.work_of_telling(values, depth)

    def fits(self, arguments: Any) -> bool:
        """Say whether all assertions hold, as far as patterns did not give up. May raise `ValueError`."""
        return self._check.is_valid(arguments)

    def where(self, arguments: Any) -> str | None:
        """Say which assertion does not hold, as its path in the schema, which has nothing of the arguments in it; `None` where a pattern gave up."""
        try:
            self._check.validate(arguments)
        except jsonschema_rs.ValidationError as error:
            return None if _gave_up(error) else "/".join(map(str, error.schema_path))
        return None


def understand(text: bytes, most: int) -> tuple[Schema | None, int]:
    """Make a validator of a schema, and say how much work that is; `None` for one that is not understood, or beyond `most`."""
    try:
        root = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None, len(text)
    work = work_of_understanding(root, most)
    if work > most:
        return None, work
    try:
        return _understood(root), work
    except (ValueError, RecursionError):
        return None, work


def _understood(root: Any) -> Schema:
    if not isinstance(root, dict):
        raise UnknownSchema("no object")
    written = repaired(root)
    weight = weigh(written)
    said = lenient.text(root.get("$schema"))
    for is_sure, options in ((True, _PLAIN), (False, _BACKTRACKING)):
        made = _compiled(written, said, options)
        if made is not None:
            return Schema(made, weight, is_sure=is_sure)
    raise UnknownSchema("no draft has it so")


def _compiled(
    schema: dict[str, Any],
    said: str,
    options: jsonschema_rs.RegexOptions | jsonschema_rs.FancyRegexOptions,
) -> jsonschema_rs.Validator | None:
    """Try the draft that the schema names, then those that schemas are written in without saying so."""
    named = next((made for name, made in _DRAFTS.items() if name in said), _NEWEST)
    for make in dict.fromkeys((named, *_TRIED)):
        with contextlib.suppress(ValueError):
            return make(schema, validate_formats=False, offline=True, mask=_MASK, pattern_options=options)  # fmt: skip
    return None


def _gave_up(error: jsonschema_rs.ValidationError) -> bool:
    """Tell whether a pattern took too long, here or in one of several alternatives."""
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded):
        return True
    branches = getattr(error.kind, "context", ())
    return any(_gave_up(each) for branch in branches for each in branch)
