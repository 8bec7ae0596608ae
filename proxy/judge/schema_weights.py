"""What a check against a stranger's schema may cost.

What lives here: weighing a schema, and counting the values of arguments; all in one unit, a check of one value, some 25 ns. What does not: the limits of an answer (`tool_calls.py`), checking
(`argument_schemas.py`).

Strategy. A reference makes a small schema large: thirty definitions, each of which names the next one twice, are 2**30 checks. So a schema is
weighed as if all references were written out. One that comes back to itself without going down into the arguments is refused; one that does go
down can come back once for each level of the arguments, as many times as there are references that lead back.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

MAX_DEPTH = 100
"""Of a schema, references written out."""
MAX_VALUES = 20_000
"""Of arguments; more are not checked."""
_MOST = 1 << 40
_OF_A_VALUE, _OF_A_PATTERN, _OF_AN_ERROR = 150, 10_000, 1000
"""What it takes to understand a value or a pattern of a schema, and to make an error, in checks of one value."""
_OF_GIVING_UP = 4000
"""What a thousand steps of a pattern take."""
_ALTERNATIVES = frozenset({"anyOf", "oneOf"})
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_DEFINED = frozenset({"$defs", "definitions"})
_DOWN = _DEFINED | frozenset(
    ("properties", "patternProperties", "additionalProperties", "items", "prefixItems", "contains", "propertyNames", "unevaluatedItems",
     "unevaluatedProperties", "additionalItems")
)  # fmt: skip
"""What stands under these is about values further down, or about nothing by itself."""
_DATA = frozenset({"enum", "const", "default", "examples", "example"})


class UnknownSchema(ValueError):  # noqa: N818  # no failure of ours: the schema says something that is not understood here
    """A schema that cannot be checked."""


class Weight(NamedTuple):
    """What a check costs."""

    values: int
    """Of the schema, references written out."""
    returns: int = 0
    """How many references lead back."""
    patterns: int = 0
    alternatives: int = 0
    """Of `anyOf` and `oneOf`."""

    def work(self, values: int, depth: int, size: int) -> int:
        """Say what a check of so many values on so many levels costs, `size` bytes of JSON."""
        once = self.values * values + self.patterns * size
        levels: int = max(1, self.returns) ** depth
        return once * levels

    def work_of_giving_up(self, values: int, depth: int) -> int:
        """Say what it costs if each pattern that may give up does."""
        levels: int = max(1, self.returns) ** depth
        return self.patterns * values * levels * _OF_GIVING_UP

    def work_of_telling(self, values: int, depth: int) -> int:
        """Say what it costs to find out where such arguments do not fit: an error is made for each alternative that does not hold."""
        levels: int = max(1, self.returns) ** depth
        return (1 + self.alternatives * values) * levels * _OF_AN_ERROR

    def plus(self, other: "Weight") -> "Weight":
        """Add another one."""
        return Weight(
            min(self.values + other.values, _MOST),
            min(self.returns + other.returns, _MOST),
            min(self.patterns + other.patterns, _MOST),
            min(self.alternatives + other.alternatives, _MOST),
        )


def weigh(root: dict[str, Any]) -> Weight:
    """Weigh a schema; raises `UnknownSchema` where nobody can say what it costs."""
    weigher = _Weigher(root)
    weight = weigher.weigh(root, 0)
    weigher.refuse_circles()
    return weight


def work_of_understanding(root: Any, most: int) -> int:
    """Say what it costs to make a validator of a schema; counting ends beyond `most`."""
    work, todo = 0, [root]
    for node in todo:
        work += _OF_A_VALUE
        if isinstance(node, dict):
            work += _OF_A_PATTERN * isinstance(node.get("pattern"), str)
            named = node.get("patternProperties")
            work += _OF_A_PATTERN * len(named) if isinstance(named, dict) else 0
        if work > most:
            break
        todo += _below(node)
    return work


def measured(value: Any) -> tuple[int, int]:
    """Count values, up to one more than `MAX_VALUES`, and levels."""
    count, depth = 0, 0
    level = [value]
    while level and count <= MAX_VALUES:
        count += len(level)
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
        level = below
        depth += bool(below)
    return count, depth


class _Weigher:
    """Weighs a schema with all references written out."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._known: dict[int, Weight] = {}
        self._open: set[int] = set()
        self._seen: dict[int, bool] = {}
        """Schemas of which it is known whether they lead back to themselves; `False` while that is looked for."""

    def weigh(self, node: Any, depth: int) -> Weight:
        """Weigh; raises `UnknownSchema` for a reference that leads elsewhere or nowhere, and for what is too deep."""
        if depth > MAX_DEPTH:
            raise UnknownSchema("too deep")
        weight = Weight(1)
        if isinstance(node, dict):
            for name, value in node.items():
                if node is not self._root or name not in _DEFINED:
                    weight = weight.plus(self._of_member(name, value, depth))
        elif isinstance(node, list):
            for each in node:
                weight = weight.plus(self.weigh(each, depth + 1))
        return weight

    def _of_member(self, name: str, value: Any, depth: int) -> Weight:
        if name in _REFERENCES and isinstance(value, str):
            return self._of_target(self._target(value), depth)
        weight = self.weigh(value, depth + 1)
        if name == "pattern" and isinstance(value, str):
            return weight.plus(Weight(0, 0, 1))
        if name == "patternProperties" and isinstance(value, dict):
            return weight.plus(Weight(0, 0, len(value)))
        if name in _ALTERNATIVES and isinstance(value, list):
            return weight.plus(Weight(0, 0, 0, len(value)))
        return weight

    def _of_target(self, target: Any, depth: int) -> Weight:
        known = self._known.get(id(target))
        if known is not None:
            return known
        if id(target) in self._open or target is self._root:
            return Weight(1, 1)
        self._open.add(id(target))
        weight = self.weigh(target, depth + 1)
        self._open.discard(id(target))
        self._known[id(target)] = weight
        return weight

    def _target(self, reference: str) -> Any:
        path = unquote(reference)
        found: Any = self._root
        if path != "#" and not path.startswith("#/"):
            raise UnknownSchema("a reference that leads elsewhere")
        for step in path.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):  # fmt: skip
                found = found[int(step)]
            else:
                raise UnknownSchema("a reference that leads nowhere")
        return found

    def refuse_circles(self) -> None:
        """Raise `UnknownSchema` where a schema leads back to itself without going down into the arguments."""
        todo: list[Any] = [self._root]
        for node in todo:
            self._walk(node, 0)
            todo += _below(node)

    def _walk(self, node: Any, depth: int) -> None:
        if depth > MAX_DEPTH * 2:
            raise UnknownSchema("too deep")
        if not isinstance(node, dict):
            return
        done = self._seen.get(id(node))
        if done is False:
            raise UnknownSchema("leads back to itself")
        if done:
            return
        self._seen[id(node)] = False
        for each in self._in_place(node):
            self._walk(each, depth + 1)
        self._seen[id(node)] = True

    def _in_place(self, node: dict[str, Any]) -> Iterator[Any]:
        for name, value in node.items():
            if name in _REFERENCES and isinstance(value, str):  # fmt: skip
                yield self._target(value)
            elif name not in _DOWN and name not in _DATA:
                yield from value if isinstance(value, list) else (value,)


def _below(node: Any) -> list[Any]:
    """Give all that a value consists of."""
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
