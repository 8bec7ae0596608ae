"""Whether a call repeats an earlier one, and who repeats it.

What lives here: telling retries of the client's SDK and of the application from parallel calls that say the same. What does not: retries
that the proxy makes itself.

The rule. A call is the next attempt of an earlier one
- `sdk`: where its client says that it tries again, and a call of the same bytes, under the client's own id of it where it sends one,
  has not gone well (or is still open here: the client has given up waiting);
- `app`: where a call of the same bytes, of the same client, had failed before this one was sent. What was sent before that was on its
  way already: it is a parallel call, however equal.

Beside other live runs of the client that say the same, the call that is repeated by `app`, or while it is still open here, is one of the
same connection: else each of them would be taken for the retry of another.

A step has one newest attempt: a failure that was tried again already is followed by no other call. Where the call that fits best was
refused here, this one repeats a refusal of ours and begins a step: that is no failure of the provider. What cannot be told from a retry
without the client's word is a parallel equal call of the same client that it happened to send after another one had failed.
"""

from collections.abc import Mapping, Sequence

from proxy.identify.facts import RETRY_US, Asked, Calls, Fact
from proxy.identify.lookup import Hints, Lookup

BESIDE_US = 2 * 60 * 1_000_000
"""Runs that say the same within this time are beside one another."""

_BLOCKED = "blocked"
_OVER = frozenset({"failed", _BLOCKED})


def retry_of(
    hints: Hints, look: Lookup, found: Mapping[int, Fact], now_us: int
) -> tuple[Asked, str] | None:
    """Find the call of a run that this one repeats, and the layer."""
    return _repeated(hints, found.get(look.retry), found.get(look.same), now_us)


def stray_retry_of(
    hints: Hints, look: Lookup, found: Mapping[int, Fact], now_us: int
) -> tuple[Asked, str] | None:
    """As `retry_of`, among the calls that belong to no run."""
    return _repeated(hints, found.get(look.stray_retry), found.get(look.stray_same), now_us)  # fmt: skip


def is_own(hints: Hints, asked: Asked, alike: Sequence[Asked], now_us: int) -> bool:
    """Tell whether a call is the caller's own where other runs say the same at the same time: of the same connection then."""
    if asked.connection == hints.connection:
        return True
    return not any(
        each.run_id != asked.run_id
        and each.signature == hints.signature
        and now_us - each.seen_us <= BESIDE_US
        and _goes_on(each)
        for each in alike
    )


def _goes_on(asked: Asked) -> bool:
    """Tell whether a run seems to be under way: one after the other they may say the same, too."""
    calls = asked.reply is not None and asked.reply.calls
    return bool(asked.state in ("open", "failed") or asked.continued_by or calls)


def _repeated(
    hints: Hints, named: Fact | None, same: Fact | None, now_us: int
) -> tuple[Asked, str] | None:
    fitting: list[Asked] = []
    if isinstance(named, Calls):
        fitting = [each for each in named.asked if each.state != "done"]
    elif isinstance(same, Calls):
        fitting = [each for each in same.asked if _is_repeated(hints, each, same.asked, now_us)]  # fmt: skip
    fitting = [each for each in fitting if _is_free(hints, each, now_us)]
    if not fitting:
        return None
    best = max(fitting, key=lambda asked: _fit(hints, asked))
    if best.state == _BLOCKED:
        return None
    return best, "sdk" if hints.is_retry else "app"


def _is_free(hints: Hints, asked: Asked, now_us: int) -> bool:
    """Tell whether a call may be tried again: not too late, not gone on from, and in the run that was named."""
    if asked.continued_by or now_us - asked.seen_us > RETRY_US:
        return False
    return not hints.run or asked.run_id in ("", hints.run)


def _is_repeated(
    hints: Hints, asked: Asked, alike: Sequence[Asked], now_us: int
) -> bool:
    """Tell whether a call of the same bytes may be what is repeated."""
    if hints.retry_key and asked.brief > 1:
        return False  # both have an id of their own, and not the same
    if hints.is_retry and asked.state != "open":
        return asked.state != "done"
    if not hints.is_retry:
        is_same_client = asked.signature == hints.signature
        if asked.state not in _OVER or not is_same_client or asked.seen_us > now_us:
            return False
    return is_own(hints, asked, alike, now_us)


def _fit(hints: Hints, asked: Asked) -> tuple[bool, bool, bool, bool, int]:
    """Prefer what is over, what was tried as often as the client says, what is of the same client, then the newest."""
    return (
        asked.state != "open",
        asked.attempt + 1 == hints.retry_count,
        asked.signature == hints.signature,
        asked.connection == hints.connection,
        asked.seen_us,
    )
