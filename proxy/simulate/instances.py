"""Makes values that meet a JSON schema: arguments for tools, and structured answers.

What lives here: what agents' schemas use (types, enums, references, alternatives, bounds). What does not: validation;
a schema that contradicts itself gets some value.
"""

from typing import Any

Schema = dict[str, Any]
MAX_DEPTH = 12
_SAMPLES = {"string": "tea", "integer": 3, "number": 3.5, "boolean": True, "null": None}


def instance(schema: Schema, text: str | None = None) -> dict[str, Any]:
    """Make an object that meets a schema; the first string in it becomes `text`, where one is given."""
    maker = _Maker(schema, text)
    value = maker.make(schema, "", 0)
    return value if isinstance(value, dict) else {"value": value}


class _Maker:
    def __init__(self, root: Schema, text: str | None) -> None:
        self._root = root
        self._text = text

    def make(self, schema: Any, name: str, depth: int) -> Any:
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if options := _list(schema, "enum"):
            return options[0]
        if "default" in schema and schema["default"] is not None:
            return schema["default"]
        kind = _kind(schema)
        if depth > MAX_DEPTH:
            return None
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            count = (
                max(1, _whole(schema.get("minItems"), 1)) if depth < MAX_DEPTH else 0
            )
            items = schema.get("items") or {"type": "string"}
            return [self.make(items, name, depth + 1) for _ in range(min(count, 20))]
        if kind == "string":
            return self._string(schema, name)
        return (
            _number(schema, kind)
            if kind in ("integer", "number")
            else _SAMPLES.get(kind)
        )

    def _resolve(self, schema: Any, depth: int = 0) -> Schema:
        for _ in range(MAX_DEPTH):
            if not isinstance(schema, dict) or depth > MAX_DEPTH:
                return {}
            if isinstance(schema.get("$ref"), str):
                schema = _at(self._root, schema["$ref"])
            elif options := _list(schema, "anyOf", "oneOf", "any_of"):
                some = [each for each in options if _kind(each) != "null"]
                schema = (some or options)[0]
            elif parts := _list(schema, "allOf"):
                found = [self._resolve(part, depth + 1) for part in parts]
                rest = {key: value for key, value in schema.items() if key != "allOf"}
                schema = {**{k: v for part in found for k, v in part.items()}, **rest}
            else:
                return schema
        return {}

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return {}
        required = schema.get("required")
        names = [
            n for n in properties if not isinstance(required, list) or n in required
        ]
        return {name: self.make(properties[name], name, depth + 1) for name in names}

    def _string(self, schema: Schema, name: str) -> str:
        if self._text is not None:
            text, self._text = self._text, None
            return text
        formats = {
            "date": "2026-01-31",
            "date-time": "2026-01-31T12:00:00Z",
            "uri": "http://u1.test",
            "email": "a@u1.test",
        }
        made = formats.get(str(schema.get("format")), name or "tea")
        made = made.ljust(_whole(schema.get("minLength"), 0), "x")
        return made[: max(1, _whole(schema.get("maxLength"), len(made)))]


def _list(schema: Schema, *names: str) -> list[Any]:
    """Give the first of these members that is a list with something in it."""
    found = (schema[name] for name in names if name in schema)
    return next((each for each in found if isinstance(each, list) and each), [])


def _kind(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "string"
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()  # Gemini writes types in capitals
    return "object" if "properties" in schema else "string"


def _whole(value: Any, otherwise: int) -> int:
    return min(value, 4096) if isinstance(value, int) else otherwise


def _number(schema: Schema, kind: str) -> Any:
    low, high = schema.get("minimum"), schema.get("maximum")
    low = schema.get("exclusiveMinimum", low)
    made: Any = _SAMPLES[kind]
    if isinstance(low, int | float) and not isinstance(low, bool) and made <= low:
        made = low + 1
    if isinstance(high, int | float) and not isinstance(high, bool) and made > high:
        made = high
    return int(made) if kind == "integer" else made


def _at(root: Schema, reference: str) -> Any:
    value: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        value = value.get(part.replace("~1", "/")) if isinstance(value, dict) else None
    return value
