"""The check of a statement's syntax tree against the allow-lists.

What lives here: the walk over the tree that the engine's own parser made (`parseQueryToJSON`), node by node. What does not: the
text (`statements.py`), the lists (`allowed.py`). Everything that is not known to be harmless is refused: node kinds, functions,
tables, settings. `EXPLAIN AST` is not enough for this: it hides the function of `* APPLY(file)` and the names of settings.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from exporters.clickhouse.allowed import (
    SYSTEM_TABLES,
    TABLE_FUNCTIONS,
    TABLE_SETTINGS,
    Functions,
    setting_allowed,
)
from exporters.clickhouse.nodes import (
    ALTER_COMMANDS,
    CODECS,
    DEFINITIONS,
    ENGINES,
    INDEX_TYPES,
    PARTS,
    READ_STATEMENTS,
    WRITE_PARTS,
    WRITE_STATEMENTS,
)

Node = dict[str, Any]

ACCESS_DENIED: Final = 497
READONLY: Final = 164

PLAIN_NAME: Final = re.compile(r"\w{1,128}", re.ASCII)


class Refused(Exception):  # noqa: N818 - the answer to a request, not a fault
    """A statement that this store does not run; `code` is ClickHouse's number for it."""

    def __init__(self, sentence: str, code: int = ACCESS_DENIED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


class Scope(msgspec.Struct, frozen=True):
    """What names mean to one statement."""

    functions: Functions
    database: str
    """The one database of tables, in which plain names are looked up."""
    parameters: Mapping[str, str]
    """Values of `{name:Type}`; those of type Identifier are names, and checked as such."""


def check_tree(tree: Node, scope: Scope, *, may_write: bool) -> dict[str, str]:
    """Give the settings that the statement asks for; raise `Refused` for anything that is not harmless."""
    kind = str(tree.get("type"))
    if kind in WRITE_STATEMENTS and not may_write:
        raise Refused(
            f"the read token may not {WRITE_STATEMENTS[kind]}; it may SELECT, SHOW, DESCRIBE, EXISTS and EXPLAIN",
            READONLY,
        )
    if kind not in READ_STATEMENTS and kind not in WRITE_STATEMENTS:
        raise Refused(
            f"this store runs SELECT, SHOW, DESCRIBE, EXISTS and EXPLAIN, and no {_statement(kind)}"
        )
    return _Walk(tree, scope, WRITE_PARTS if kind in WRITE_STATEMENTS else PARTS).run()


class _Walk:
    """One pass over a tree; collects settings, refuses at the first thing that is not known to be harmless."""

    def __init__(self, tree: Node, scope: Scope, parts: frozenset[str]) -> None:
        self._tree = tree
        self._scope = scope
        self._parts = parts
        self._settings: dict[str, str] = {}
        self._of_table = False
        """Whether the walk is in a definition, whose settings are the table's and not the query's."""

    def run(self) -> dict[str, str]:
        self._statement(self._tree)
        return self._settings

    def _statement(self, node: Node) -> None:
        """Check a whole statement: the outermost one, or the one inside EXPLAIN."""
        kind = node["type"]
        if kind == "ExplainQuery":
            inner = node.get("query")
            if not isinstance(inner, dict) or inner.get("type") not in READ_STATEMENTS:
                raise Refused("EXPLAIN is for SELECT here")
            self._outfile(node)
            self._statement(inner)
            return
        if kind in WRITE_STATEMENTS:
            self._target(node)
        self._outfile(node)
        self._below(node)

    def _below(self, node: Node) -> None:
        for value in node.values():
            self._value(value)

    def _value(self, value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                self._value(item)
        elif isinstance(value, dict):
            if "type" in value:
                self._node(value)
            else:
                self._below(value)

    def _node(self, node: Node) -> None:
        kind = node["type"]
        if kind not in self._parts:
            raise Refused(f"{kind} is not allowed in a statement here")
        self._outfile(node)
        match kind:
            case "Literal":
                return
            case "SetQuery":
                self._set(node)
                return
            case "Function":
                self._function(node)
            case "ColumnsApplyTransformer":
                self._applied(node)
            case "TableExpression":
                self._table_function(node)
            case "TableIdentifier":
                self._table(self._name_parts(node))
            case "Identifier":
                self._column(self._name_parts(node))
            case "AlterCommand" | "Storage":
                self._definition(node)
                return
            case _:
                pass
        self._below(node)

    def _outfile(self, node: Node) -> None:
        if "out_file" in node:
            raise Refused(
                "INTO OUTFILE is not allowed: this store writes no files for its clients"
            )

    def _function(self, node: Node) -> None:
        name = str(node.get("name"))
        if node.get("kind") == "CODEC" or (
            self._parts is WRITE_PARTS and name in CODECS | INDEX_TYPES
        ):
            return
        if node.get("kind") in DEFINITIONS:
            return
        if name.lower() in TABLE_FUNCTIONS or self._scope.functions.allows(name):
            return
        raise Refused(
            f"the function {name} is not allowed: it reaches beyond the stored rows, or is unknown"
        )

    def _applied(self, node: Node) -> None:
        name = node.get("func_name")
        if name is not None and not self._scope.functions.allows(str(name)):
            raise Refused(
                f"APPLY({name}) is not allowed: {name} reaches beyond the stored rows"
            )

    def _table_function(self, node: Node) -> None:
        call = node.get("table_function")
        if (
            isinstance(call, dict)
            and str(call.get("name")).lower() not in TABLE_FUNCTIONS
        ):
            raise Refused(
                f"the table function {call.get('name')} is not allowed: it reads from outside the store"
            )

    def _definition(self, node: Node) -> None:
        engine = node.get("engine") or {}
        if node["type"] == "AlterCommand":
            if node.get("command_type") not in ALTER_COMMANDS:
                raise Refused(f"ALTER … {node.get('command_type')} is not allowed here")
        elif engine.get("name") not in ENGINES or "arguments" in engine:
            raise Refused(
                f"tables of the engine {engine.get('name')} are not allowed here"
            )
        self._of_table = True
        self._below(node)
        self._of_table = False

    def _set(self, node: Node) -> None:
        if node.keys() - {"type", "changes"}:
            raise Refused("this SETTINGS clause is not allowed here")
        for change in node.get("changes") or ():
            name, value = str(change.get("name")), change.get("value") or {}
            scalar = value.get("value")
            allowed = (
                name in TABLE_SETTINGS if self._of_table else setting_allowed(name)
            )
            if not allowed or isinstance(scalar, dict | list):
                raise Refused(f"the setting {name} is not allowed here", READONLY)
            if not self._of_table:
                self._settings[name] = _setting_text(scalar)

    def _target(self, node: Node) -> None:
        """Check what a writing statement writes to: only tables of the one database."""
        if {"table_function", "as_table_function", "infile"} & node.keys():
            raise Refused(
                "only tables can be written to or made here, not table functions"
            )
        if (
            node.get("is_dictionary")
            or node.get("attach")
            or node.get("has_attach_from_path")
        ):
            raise Refused("dictionaries and ATTACH are not allowed here")
        if node["type"] == "DropQuery" and node.get("kind") not in ("Drop", "Truncate"):
            raise Refused(f"{str(node.get('kind')).upper()} is not allowed here")
        database = _text_of(node.get("database")) or self._scope.database
        if database != self._scope.database:
            raise Refused(
                f"only {self._scope.database} can be written to, not {database}"
            )

    def _table(self, parts: list[str]) -> None:
        if len(parts) > 2 or (len(parts) == 2 and not self._readable(*parts)):
            raise Refused(f"the table {'.'.join(parts)} is not allowed")

    def _column(self, parts: list[str]) -> None:
        """A column, or the table on the right of IN: refused where it could be another database's table."""
        if len(parts) > 1 and parts[0].lower() in {"default", "system"}:
            self._table(parts[:2])

    def _readable(self, database: str, table: str) -> bool:
        if database.lower() == "information_schema":
            return True
        if database == "system":
            return table in SYSTEM_TABLES
        return database == self._scope.database

    def _name_parts(self, node: Node) -> list[str]:
        """Give the parts of a name, with `{parameters:Identifier}` filled in."""
        parts = [str(part) for part in node.get("name_parts") or [node.get("name", "")]]
        for parameter in node.get("children") or ():
            name = str(parameter.get("name"))
            value = self._scope.parameters.get(name, "")
            if not PLAIN_NAME.fullmatch(value):
                raise Refused(f"the parameter {name} must be one plain name")
            if "" not in parts:
                raise Refused(
                    f"the parameter {name} stands where no name can be checked"
                )
            parts[parts.index("")] = value
        return parts


def _text_of(name: Any) -> str:
    """Give a name that the tree holds as text or as an Identifier."""
    return str(name.get("name", "")) if isinstance(name, dict) else str(name or "")


def _setting_text(scalar: Any) -> str:
    return str(int(scalar)) if isinstance(scalar, bool) else str(scalar)


def _statement(kind: str) -> str:
    return re.sub(r"Query$", "", kind).upper()
