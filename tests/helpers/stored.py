"""Rows of the commands' questions as a store writes them.

What lives here: JSONEachRow from typed rows. What does not: the rows (`run_rows.py`).
"""

from decimal import Decimal

import msgspec

from proxy.cli.questions import AttemptRow, RunRow, VerdictRow


def as_line(row: RunRow | AttemptRow | VerdictRow) -> bytes:
    """Write one row."""
    fields = msgspec.to_builtins(row, builtin_types=(Decimal,))
    for moment in ("started", "began"):
        if moment in fields:
            fields[moment] = getattr(row, moment).strftime("%Y-%m-%d %H:%M:%S.%f")
    return msgspec.json.Encoder(decimal_format="number").encode(fields) + b"\n"
