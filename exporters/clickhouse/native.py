"""The format Native as newer clients want it.

What lives here: `upgrade`, which turns chDB's Native (protocol revision 0) into that of revision 54454 and later. What does not:
reading values. clickhouse-go, and so Grafana, asks over HTTP for its own revision and cannot fall back; chDB always writes
revision 0, which lacks the block info and one byte per column. To put that byte in, one must know where each column ends:
`_end` walks over the data of each type without decoding it.

See ClickHouse: src/Formats/NativeWriter.cpp, src/Core/BlockInfo.h.
"""

import re
from typing import Final

REVISION_WITH_SERIALIZATION: Final = 54454
"""From here on each column has a byte that says whether its serialization is a special one."""

SETTINGS: Final = {"output_format_native_write_json_as_string": "1"}
"""What the query must run with: the structure of JSON columns is one of its own otherwise."""

PREFIX_BYTES: Final = 8
PREFIXED: Final = ("LowCardinality", "JSON")
"""Types that put a version before the data of the whole column, also where they are nested."""

BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""Field 1, is_overflows: false; field 2, bucket: -1; no more fields."""

WIDTHS: Final = {
    **dict.fromkeys(("Bool", "Int8", "UInt8", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("Int16", "UInt16", "Enum16", "Date", "BFloat16"), 2),
    **dict.fromkeys(
        (
            "Int32",
            "UInt32",
            "Float32",
            "Date32",
            "DateTime",
            "IPv4",
            "Decimal32",
            "Time",
        ),
        4,
    ),
    **dict.fromkeys(
        ("Int64", "UInt64", "Float64", "DateTime64", "Decimal64", "Time64"), 8
    ),
    **dict.fromkeys(("Int128", "UInt128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("Int256", "UInt256", "Decimal256"), 32),
}
GEO: Final = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
}
ELEMENT_NAME: Final = re.compile(r"(?:[A-Za-z_]\w*|`(?:[^`\\]|\\.)*`) (?=[A-Z])")


class UnknownTypeError(ValueError):
    """A type whose data cannot be walked over; its name is the message."""


def upgrade(body: bytes) -> bytes:
    """Give the blocks of `body` with block info and the byte per column."""
    pieces: list[bytes | memoryview] = []
    view = memoryview(body)
    position = 0
    while position < len(body):
        start = position
        columns, position = _number(body, position)
        rows, position = _number(body, position)
        pieces += [BLOCK_INFO, view[start:position]]
        for _ in range(columns):
            start = position
            position = _end_of_text(body, position)
            name_end = position
            position = _end_of_text(body, position)
            length, at = _number(body, name_end)
            kind = body[at : at + length].decode()
            pieces += [view[start:position], b"\0"]
            start = position
            if rows:
                position = _end(kind, rows, body, position + _prefix(kind))
            pieces.append(view[start:position])
    return b"".join(pieces)


def _prefix(kind: str) -> int:
    name, arguments = _split(kind)
    own = PREFIX_BYTES if name in PREFIXED else 0
    if name in ("Array", "Map", "Nested", "Tuple"):
        return sum(_prefix(ELEMENT_NAME.sub("", a, count=1)) for a in arguments)
    return own


def _end(kind: str, rows: int, body: bytes, position: int) -> int:
    """Give where the data of `rows` values of this type ends."""
    name, arguments = _split(kind)
    if name in WIDTHS:
        return position + rows * WIDTHS[name]
    if name in ("String", "JSON"):
        for _ in range(rows):
            position = _end_of_text(body, position)
        return position
    if name == "FixedString":
        return position + rows * int(arguments[0])
    if name == "Decimal":
        return position + rows * _decimal_width(int(arguments[0]))
    if name.startswith("Interval"):
        return position + rows * 8
    if name in GEO:
        return _end(GEO[name], rows, body, position)
    return _end_of_composite(name, arguments, rows, body, position)


def _end_of_composite(
    name: str, arguments: list[str], rows: int, body: bytes, position: int
) -> int:
    match name:
        case "LowCardinality":
            return _end_of_dictionary(arguments[0], rows, body, position)
        case "Nullable":
            return _end(arguments[0], rows, body, position + rows)
        case "Array":
            return _end_of_array(arguments[0], rows, body, position)
        case "Map":
            return _end_of_array(f"Tuple({', '.join(arguments)})", rows, body, position)
        case "Nested":
            return _end_of_array(f"Tuple({', '.join(arguments)})", rows, body, position)
        case "SimpleAggregateFunction":
            return _end(arguments[1], rows, body, position)
        case "Tuple" if arguments:
            for argument in arguments:
                position = _end(
                    ELEMENT_NAME.sub("", argument, count=1), rows, body, position
                )
            return position
    raise UnknownTypeError(name)


def _end_of_array(element: str, rows: int, body: bytes, position: int) -> int:
    """An array is the end of each row in the flat list of elements, 8 bytes each, and that list."""
    if rows == 0:
        return position
    position += rows * 8
    total = int.from_bytes(body[position - 8 : position], "little")
    return _end(element, total, body, position)


def _end_of_dictionary(element: str, rows: int, body: bytes, position: int) -> int:
    """The width of the indexes, the number of keys, the keys (without NULL marks), the number of rows, an index a row."""
    if rows == 0:
        return position
    width = 1 << body[position]
    keys = int.from_bytes(body[position + 8 : position + 16], "little")
    name, arguments = _split(element)
    plain = arguments[0] if name == "Nullable" else element
    return _end(plain, keys, body, position + 16) + 8 + rows * width


def _end_of_text(body: bytes, position: int) -> int:
    length = body[position]
    if length < 0x80:
        return position + 1 + length
    length, position = _number(body, position)
    return position + length


def _number(body: bytes, position: int) -> tuple[int, int]:
    """Read a LEB128 number; give it and where it ends."""
    value = shift = 0
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _split(kind: str) -> tuple[str, list[str]]:
    """Split `Map(String, Array(Int8))` into its name and its arguments, minding brackets and quotes."""
    name, bracket, rest = kind.partition("(")
    if not bracket:
        return kind, []
    arguments: list[str] = []
    depth, quote, current = 0, "", ""
    characters = iter(rest[:-1])
    for character in characters:
        if character == "\\" and quote:
            current += character + next(characters, "")
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'`":
            quote = character
        elif character == "," and depth == 0:
            arguments.append(current.strip())
            current = ""
            continue
        else:
            depth += (character == "(") - (character == ")")
        current += character
    if current.strip():
        arguments.append(current.strip())
    return name, arguments


def _decimal_width(precision: int) -> int:
    for limit, width in ((9, 4), (18, 8), (38, 16)):
        if precision <= limit:
            return width
    return 32
