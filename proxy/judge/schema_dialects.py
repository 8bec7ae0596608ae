"""Other dialects of JSON Schema, written as its newest draft has it.

What lives here: what Google's interfaces, OpenAPI, Python programs and older drafts say otherwise. What does not: validators (`argument_schemas.py`).

What cannot be written so is left out, and that is told: under `not` or `oneOf` a schema that asserts less refuses more.
"""

from typing import Any

from proxy.judge.schema_weights import MAX_DEPTH, UnknownSchema

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})  # fmt: skip
_GOOGLES = ("", "string", "number", "integer", "boolean", "array", "object", "null")
"""By the number that stands for each in the wire's own numbering."""
_COUNTS = frozenset(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"))  # fmt: skip
_ONE = frozenset(
    ("additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "additionalItems")
)  # fmt: skip
_LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"))  # fmt: skip
_EITHER_WAY = frozenset({"not", "oneOf", "if"})
"""Under these, what asserts less may refuse more."""
_NAMES_OF_SCHEMAS = frozenset({"$schema", "$id", "id"})
"""References lead into the schema itself, so that its parts need no addresses of their own."""


def repaired(root: dict[str, Any]) -> dict[str, Any]:
    """Write a schema anew; raises `UnknownSchema` where that would change what it refuses."""
    made, is_lost = _repaired(root, 0)
    if is_lost and _either_way(root):
        raise UnknownSchema("asserts what is not understood, both ways")
    assert isinstance(made, dict)
    return made


def _repaired(node: Any, depth: int) -> tuple[Any, bool]:
    """Rewrite what other dialects of schemas say otherwise; and tell whether an assertion was lost."""
    if depth > MAX_DEPTH:
        raise UnknownSchema("too deep")
    if not isinstance(node, dict):
        return node, False
    made: dict[str, Any] = {}
    lost = False
    for name, value in node.items():
        parts: list[tuple[Any, bool]] = []
        if name in _NAMED and isinstance(value, dict):
            parts = [_repaired(each, depth + 1) for each in value.values()]
            made[name] = dict(zip(value, (part for part, _ in parts), strict=True))
        elif name in _LISTED and isinstance(value, list):
            parts = [_repaired(each, depth + 1) for each in value]
            made[name] = [part for part, _ in parts]
        elif name in _ONE:
            parts = [_repaired(value, depth + 1)]
            made[name] = parts[0][0]
        elif _says_nothing(name, value):
            continue
        elif name in _COUNTS and isinstance(value, str) and value.isdecimal():
            made[name] = int(value)  # as 64-bit numbers stand in Google's JSON
        else:
            made[name] = value
        lost |= any(each for _, each in parts)
    return _typed(made, lost)


def _says_nothing(name: str, value: Any) -> bool:
    """Tell whether a member can go: an address, or `required` said of the member itself, as the third draft had it."""
    if name == "required":
        return isinstance(value, bool)
    return name in _NAMES_OF_SCHEMAS and isinstance(value, str)


def _typed(node: dict[str, Any], lost: bool) -> tuple[dict[str, Any], bool]:
    """Write types in small letters, leave out those that JSON has not, and let `nullable` values be null."""
    said = node.get("type")
    if type(said) is int and 0 < said < len(_GOOGLES):
        said = node["type"] = _GOOGLES[said]
    if isinstance(said, str) or (isinstance(said, list) and all(isinstance(each, str) for each in said)):  # fmt: skip
        named = [said] if isinstance(said, str) else said
        types = [each.lower() for each in named]
        if not set(types) <= _TYPES:
            lost = True
            del node["type"]
        elif types != named:
            node["type"] = types if isinstance(said, list) else types[0]
    if node.get("nullable") is not True:
        return node, lost
    if isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
        if isinstance(node.get("enum"), list):
            node["enum"] = [*node["enum"], None]
        return node, lost
    return {"anyOf": [node, {"type": "null"}]}, lost


def _either_way(node: Any) -> bool:
    """Tell whether a schema has an assertion that asserts the opposite, too."""
    todo = [node]
    for each in todo:
        if isinstance(each, dict):
            if not _EITHER_WAY.isdisjoint(each):
                return True
            todo += each.values()
        elif isinstance(each, list):
            todo += each
    return False
