"""What one call did to the accounts, as bytes: what came after the last snapshot of them.

What lives here: writing and reading the claims of an admitted call, and the changes that followed from it. What does not: where the bytes
are kept (`proxy/record`), all accounts at once (`books.py`), what was learned of runs (`memo.py`).
"""

from collections.abc import Sequence

import msgspec

from proxy.judge.claims import Change, Claim, Owners
from proxy.state.accounts import Accounts

ABOUT = "accounts"
"""`Memo.about` of these."""


class _Tally(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One admission, or what followed from one."""

    now_us: int
    changes: tuple[Change, ...] = ()
    claims: tuple[Claim, ...] = ()
    owners: Owners = ("", "", "", "")


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Tally).decode


def claimed(claims: Sequence[Claim], owners: Owners, now_us: int) -> bytes:
    """Write the claims of a call that was admitted."""
    return _encode(_Tally(now_us, (), tuple(claims), owners))


def changed(changes: Sequence[Change], now_us: int) -> bytes:
    """Write what followed."""
    return _encode(_Tally(now_us, tuple(changes)))


def replay(accounts: Accounts, said: bytes) -> None:
    """Take over one tally. Raises `msgspec.MsgspecError` where it is broken or of another version."""
    tally = _decode(said)
    if tally.claims:
        accounts.replay(tally.claims, tally.owners, tally.now_us)
    accounts.apply(tally.changes, tally.now_us)
