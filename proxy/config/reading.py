"""From a YAML document to typed settings.

What lives here: YAML without duplicate keys, and a walk over the document beside the structs that names the exact key when
something does not fit (msgspec's own message says `$.routes[...]` for any route). What does not: files, environment,
meaning.
"""

import difflib
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, Literal

import msgspec
import yaml

from proxy.config.structs import Settings
from proxy.errors import SettingsError

_HIDDEN_WORDS = ("secret", "token", "password", "egress_proxy")
_PLAIN_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
_SHOWN_CHARACTERS = 80
_BOOL = "tag:yaml.org,2002:bool"
_COUNTS = ("_env", "tokens")
"""How keys end whose values are no secrets, whatever word is in them."""


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader, which would let the last one of two equal keys win, and take `off` for false.

    YAML 1.2 has only true and false; `off` is a word that settings use (`mode: off`).
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own, read by it alone
        first: [each for each in resolvers if first not in "oO" or each[0] != _BOOL]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        """Refuse a key that stands twice in one mapping."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise SettingsError(
                    f"line {key.start_mark.line + 1}: the key {key.value} stands twice; keep one"
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> dict[str, Any]:
    """Give the document's top mapping; an empty document is an empty one."""
    try:
        document = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SettingsError(
            f"{where}this is not YAML: {getattr(error, 'problem', None) or error}"
        ) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(
            "the file must be a mapping of keys, for example `listen: 127.0.0.1:4141`"
        )
    return document


def convert(document: Mapping[str, Any]) -> Settings:
    """Give the settings; `SettingsError` names the first key that does not fit."""
    check_value(document, Settings, "")
    return msgspec.convert(document, Settings)


def check_value(value: object, expected: Any, path: str) -> None:
    """Raise `SettingsError` with the path of what does not fit."""
    alternatives = (
        typing.get_args(expected)
        if isinstance(expected, types.UnionType)
        else (expected,)
    )
    if value is None and types.NoneType in alternatives:
        return
    kind = alternatives[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        _check_struct(value, kind, path)
    elif typing.get_origin(kind) is dict:
        for name, item in _mapping(value, path).items():
            check_value(item, typing.get_args(kind)[1], f"{path}.{name}")
    elif _is_list_of_structs(kind):
        for index, item in enumerate(_list(value, path)):
            check_value(item, typing.get_args(kind)[0], f"{path}[{index}]")
    else:
        _check_plain(value, kind, path)


def _check_struct(value: object, kind: type[msgspec.Struct], path: str) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    mapping = _mapping(value, path)
    for name, item in mapping.items():
        here = f"{path}.{name}" if path else name
        if name not in fields:
            raise SettingsError(
                f"{here}: there is no such key; {_nearest(name, list(fields))}"
            )
        check_value(item, fields[name].type, here)
    for name, field in fields.items():
        if field.required and name not in mapping:
            raise SettingsError(
                f"{path}.{name}: is missing; it must be {describe(field.type)}"
            )


def _is_list_of_structs(kind: Any) -> bool:
    items = typing.get_args(kind) if typing.get_origin(kind) is tuple else ()
    return any(
        isinstance(each, type) and issubclass(each, msgspec.Struct) for each in items
    )


def _list(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        raise SettingsError(
            f"{path}: is {shown(path, value)}; it must be a list, each item of it a mapping of keys"
        )
    return value


def _mapping(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise SettingsError(
            f"{path}: is {shown(path, value)}; it must be a mapping of keys"
        )
    for key in value:
        if not isinstance(key, str):
            raise SettingsError(f"{path}.{key}: a key must be text; put it in quotes")
    return value


def _check_plain(value: object, kind: Any, path: str) -> None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise SettingsError(
            f"{path}: is {shown(path, value)}; it must be {describe(kind)}"
        ) from None


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def describe(kind: Any) -> str:
    """Say in words what a value of this type looks like."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(argument or "''" for argument in arguments)
    if origin is tuple:
        return f"a list, each item of it {describe(arguments[0])}"
    return _PLAIN_NAMES.get(kind, "a mapping of keys")


def shown(path: str, value: object) -> str:
    """Give a value as a message may show it: short, on one line, and no secret."""
    if any(word in path for word in _HIDDEN_WORDS) and not path.endswith(_COUNTS):
        return "(a secret, not shown)"
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
