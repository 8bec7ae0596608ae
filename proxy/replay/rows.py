"""Calls as `replayed_calls.sql` tells of them, from bytes to values.

What lives here: one line, several lines of one call, and taking them in as they come. What does not: what is made of them (`cases.py`).
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from proxy.model import PICO_PER_USD, Kind

FORMAT = "JSONCompactEachRow"
_NO_MONEY = Decimal(0)


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line: the columns of `replayed_calls.sql` in their order."""

    began_us: int
    closed_us: int
    attempt_id: str
    step_id: str
    part: int
    tenant: str
    agent: str
    agent_source: str
    caller: str
    session_id: str
    root_run_id: str
    parent_run_id: str
    run_id: str
    turn: int
    step: int
    """Its number in its run; 0 where it has none."""
    attempt: int
    is_step: bool
    kind: Kind
    route: str
    provider: str
    operation: str
    model_requested: str
    outcome: str
    verdict_action: str
    usage_source: str
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = _NO_MONEY
    output_usd: Decimal = _NO_MONEY
    rate_input: Decimal = _NO_MONEY
    ctx_window: int | None = None
    call_tool: tuple[str, ...] = ()
    call_args_hash: tuple[int, ...] = ()


class Call(msgspec.Struct, frozen=True, gc=False):
    """An exchange with all that it came to."""

    row: Row
    """Its part 0."""
    pico: int
    """Dollars of all parts, in pico-dollars."""
    tokens: int
    """Of all parts."""


_decode = msgspec.json.Decoder(Row, strict=False).decode
"""Servers of older versions write 64-bit numbers as text."""


class Lines:
    """Takes in bytes as they come and tells of each call, once it is whole. Raises `msgspec.MsgspecError` for what is no line."""

    def __init__(self, tell: Callable[[Call], None]) -> None:
        self._tell = tell
        self._rest = b""
        self._rows: list[Row] = []

    def write(self, chunk: bytes) -> None:
        """Take some bytes, which may end anywhere."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            row = _decode(line)
            if row.part == 0:
                self.flush_call()
            self._rows.append(row)

    def flush(self) -> None:
        """Do nothing: a call is told of when the next one begins."""

    def flush_call(self) -> None:
        """Tell of the last call; to be called after the last bytes."""
        rows, self._rows = self._rows, []
        if rows:
            self._tell(call_of(rows))


def call_of(rows: list[Row]) -> Call:
    """Put the parts of a call together."""
    usd = sum((each.usd for each in rows), _NO_MONEY)
    tokens = sum(each.input_tokens + each.output_tokens for each in rows)
    return Call(rows[0], pico(usd), tokens)


def pico(usd: Decimal) -> int:
    """Give dollars as pico-dollars, which they are stored in."""
    return int(usd * PICO_PER_USD)
