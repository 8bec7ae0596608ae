"""Headers as they stood on the wire, findable by name."""

from collections.abc import Iterator, Sequence

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Name and value of each header, in order, bytes as sent."""


class Headers:
    """An index over raw headers; repeated ones keep all their values. Its `repr` shows names only."""

    __slots__ = ("_values", "raw")

    def __init__(self, raw: RawHeaders) -> None:
        self.raw = raw
        self._values: dict[bytes, list[bytes]] = {}
        for name, value in raw:
            self._values.setdefault(name.lower(), []).append(value)

    def first(self, name: bytes) -> bytes | None:
        """Give the first value of the header with this lowercase name."""
        values = self._values.get(name)
        return values[0] if values else None

    def every(self, name: bytes) -> Sequence[bytes]:
        """Give all values of the header with this lowercase name, in order."""
        return self._values.get(name, ())

    def starting_with(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give lowercase name and first value of each header whose name starts with `prefix`."""
        for name, values in self._values.items():
            if name.startswith(prefix):
                yield name, values[0]

    def __repr__(self) -> str:
        """Show which headers there are; their values may be secrets."""
        return f"Headers({b', '.join(self._values)!r})"
