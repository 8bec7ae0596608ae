"""One statement of a client: what it is, and whether this store runs it.

What lives here: the way from text to a checked statement. What does not: the walk over the tree (`tree.py`), running it
(`engine.py`), HTTP (`http.py`).

The engine parses the text *as data* (a bound parameter of `formatQuerySingleLine` and `parseQueryToJSON`), so that the check
itself cannot be injected, a second statement is a syntax error, and comments are gone. What runs is the text written back from
the tree that was checked: nothing that the check did not see can run.
"""

import re
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from exporters.clickhouse.allowed import Functions, setting_allowed
from exporters.clickhouse.tree import READONLY, Node, Refused, Scope, check_tree

SYNTAX_ERROR: Final = 62
UNKNOWN_DATABASE: Final = 81

_NAME = r"(?:(?P<database>\w+)\.)?(?P<table>\w+)"
_TAIL = r"(?: FORMAT (?P<format>\w+))?"
PLAIN: Final = re.compile(
    rf"(?:EXISTS TABLE|EXISTS VIEW|EXISTS DICTIONARY|SHOW CREATE TABLE|SHOW CREATE VIEW|DESCRIBE TABLE) {_NAME}{_TAIL}",
    re.ASCII,
)
NAMELESS: Final = re.compile(
    rf"(?:EXISTS DATABASE \w+|SHOW CREATE DATABASE \w+|SHOW PROCESSLIST|SHOW ENGINES|SHOW SETTING \w+"
    rf"|SHOW FUNCTIONS(?: I?LIKE '[\w%]*')?){_TAIL}",
    re.ASCII,
)
"""Statements that the engine gives no tree for; written back by its formatter, these whole texts are all that they can be."""
DESCRIBE: Final = "DESCRIBE TABLE "
INSERT_DATA: Final = re.compile(
    rb"\s*(INSERT\s+INTO\s+(?:TABLE\s+)?(?:`?(?P<database>\w+)`?\s*\.\s*)?`?(?P<table>\w+)`?\s*(?:\([\w\s,`]*\)\s*)?)"
    rb"(?:SETTINGS\s+(?P<settings>\w+\s*=\s*(?:'[\w:.\-]*'|\d+)(?:\s*,\s*\w+\s*=\s*(?:'[\w:.\-]*'|\d+))*)\s+)?"
    rb"(?:FORMAT\s+(?P<format>\w+)(?:[ \t]*;)?[ \t]*(?:\r?\n|$)|(?P<values>VALUES)\s*)",
    re.IGNORECASE,
)


class Parsed(msgspec.Struct, frozen=True):
    """What the engine's parser made of a text."""

    text: str
    """The statement written back by the engine, on one line, without comments."""
    tree: Node | None
    """`None` for kinds of statements that have no tree."""
    rewritten: str
    """The statement written back from the tree alone."""
    faithful: bool = True
    """Whether the two texts mean the same: are equal, or have the same `EXPLAIN AST` (brackets may go)."""


class Parser(Protocol):
    """The engine's parser; see `engine.py`."""

    def parse(self, text: str) -> Parsed:
        """Parse one statement given as data; raise `EngineError` for what is not one statement."""


class Rules(msgspec.Struct, frozen=True):
    """What holds for every statement of one store."""

    functions: Functions
    database: str


class Statement(msgspec.Struct, frozen=True):
    """A statement that may run."""

    text: str
    format: str = ""
    """The FORMAT that it asks for; empty: the request's default."""
    settings: Mapping[str, str] = {}
    """What its SETTINGS clauses ask for."""
    writes: bool = False


class Insert(msgspec.Struct, frozen=True):
    """The head of an INSERT whose data follows; the data goes to the engine apart, never inside a statement."""

    head: str
    format: str
    settings: Mapping[str, str]
    data_from: int
    """Where in the body the data begins."""


def check_database(asked: str, rules: Rules) -> None:
    """Refuse databases that plain names cannot belong to. `default` means ours: chDB's own `default` reads files as tables."""
    if asked not in ("", "default", rules.database):
        raise Refused(
            f"there is no database {asked} to be in; use {rules.database}, and name tables of system in full",
            UNKNOWN_DATABASE,
        )


def find_insert(body: bytes, rules: Rules) -> Insert | None:
    """Recognise an INSERT with data behind it; `None` for any other statement."""
    if not (match := INSERT_DATA.match(body)):
        return None
    database = (match["database"] or b"").decode() or rules.database
    if database != rules.database:
        raise Refused(f"only {rules.database} can be written to, not {database}")
    settings = {}
    for item in (match["settings"] or b"").decode().split(","):
        name, _, value = item.partition("=")
        if name.strip():
            settings[name.strip()] = value.strip().strip("'")
    return Insert(
        match[1].decode(),
        (match["format"] or match["values"]).decode(),
        allowed_settings(settings),
        match.end(),
    )


def check(
    text: str,
    parser: Parser,
    rules: Rules,
    *,
    parameters: Mapping[str, str],
    may_write: bool,
) -> Statement:
    """Give the statement to run; raise `Refused` with one sentence, or the parser's own error."""
    parsed = parser.parse(text)
    scope = Scope(rules.functions, rules.database, parameters)
    if parsed.tree is None:
        return _check_plain(parsed.text, parser, scope)
    settings = check_tree(parsed.tree, scope, may_write=may_write)
    if not parsed.faithful:
        raise Refused(
            "this statement cannot be checked; please write it in another way"
        )
    return Statement(
        parsed.rewritten,
        _format(parsed.tree),
        settings,
        writes=parsed.tree["type"]
        in ("InsertQuery", "CreateQuery", "AlterQuery", "DropQuery"),
    )


def allowed_settings(settings: Mapping[str, str]) -> Mapping[str, str]:
    """Give settings back when a client may change them all; raise `Refused` otherwise."""
    for name in settings:
        if not setting_allowed(name):
            raise Refused(f"the setting {name} is not allowed here", READONLY)
    return settings


def _check_plain(text: str, parser: Parser, scope: Scope) -> Statement:
    if match := NAMELESS.fullmatch(text):
        return Statement(text, match["format"] or "")
    if match := PLAIN.fullmatch(text):
        parts = [part for part in (match["database"], match["table"]) if part]
        name: Node = {
            "type": "TableIdentifier",
            "name": ".".join(parts),
            "name_parts": parts,
        }
        check_tree(_select_from(name), scope, may_write=False)
        return Statement(text, match["format"] or "")
    if text.startswith(DESCRIBE):
        inner = "SELECT * FROM " + text.removeprefix(DESCRIBE)
        parsed = parser.parse(inner)
        if parsed.tree is not None and parsed.rewritten == parsed.text == inner:
            check_tree(parsed.tree, scope, may_write=False)
            return Statement(text, _format(parsed.tree))
    raise Refused(
        f"this store runs SELECT, SHOW, DESCRIBE, EXISTS and EXPLAIN; not {' '.join(text.split()[:2])[:40]}"
    )


def _select_from(table: Node) -> Node:
    expression = {"type": "TableExpression", "database_and_table_name": table}
    return {"type": "SelectWithUnionQuery", "tables": expression}


def _format(tree: Node) -> str:
    node = tree.get("format_ast")
    return str(node.get("name", "")) if isinstance(node, dict) else ""
