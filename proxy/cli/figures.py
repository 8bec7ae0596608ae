"""Numbers as people read them: dollars, seconds, tokens, counts; and names that are safe to print.

What lives here: formatting, pure. What does not: where numbers come from. Each has its unit; what nobody knows is a dash, never zero.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from rich.cells import cell_len, set_cell_size

UNKNOWN = "-"
ESTIMATED, AT_LEAST = "~", "≥"
"""What stands before dollars that are not known for sure."""
ELLIPSIS = "…"


def money_legend(marks: Iterable[str]) -> Iterator[str]:
    """Explain the marks that stand before dollars."""
    found = {*marks}
    if ESTIMATED in found:
        yield f"{ESTIMATED} estimated, or at an assumed price"
    if AT_LEAST in found:
        yield f"{AT_LEAST} at least: some attempts have no price"


def dollars(usd: Decimal | None, mark: str = "") -> str:
    """Write dollars behind their mark in ten cells at most up to a million, with two significant digits at least, large ones without cents."""
    if usd is None:
        return UNKNOWN
    if usd == 0:
        return f"{mark}$0"
    if usd < Decimal("0.000001"):
        return f"{AT_LEAST}$0" if mark == AT_LEAST else "<$0.000001"
    if usd >= 1000:
        return f"{mark}${usd:,.0f}"
    places = 2 if usd >= Decimal("0.1") else min(6, 1 - usd.adjusted())
    return f"{mark}${usd:,.{places}f}"


def at_the_point(amounts: Sequence[str]) -> list[str]:
    """Pad amounts that stand below each other to the right, so that their points do; what is no amount ends where they end."""
    known = [each for each in amounts if "$" in each]
    places = max((len(_fraction(each)) for each in known), default=0)
    return [
        each + " " * (places - len(_fraction(each))) if "$" in each else each
        for each in amounts
    ]


def _fraction(amount: str) -> str:
    return amount[amount.index(".") :] if "." in amount else ""


def duration(seconds: float | None) -> str:
    """Write a time span with its unit."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d"


def span(seconds: float | None) -> str:
    """Write a time span in six cells at most."""
    if seconds is None:
        return UNKNOWN
    if seconds < 99.95:
        return duration(seconds)
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours < 100 else f"{hours // 24} d"


def tokens(count: int | None) -> str:
    """Write a count of tokens short."""
    if count is None:
        return UNKNOWN
    if count < 10_000:
        return f"{count:,}"
    if count < 999_500:
        return f"{count / 1000:.3g}k" if count < 99_950 else f"{count / 1000:.0f}k"
    return f"{count / 1e6:.2f}M"


def counted(count: int, one: str, many: str = "") -> str:
    """Write a count and its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def printable(text: str) -> str:
    """Give a name without anything that moves a cursor or colours a terminal."""
    return "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text
    )


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Give exactly `width` cells: padded, or cut with an ellipsis."""
    if cell_len(text) > width:
        return set_cell_size(text, max(0, width - 1)) + (ELLIPSIS if width else "")
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding
