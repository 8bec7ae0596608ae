"""Accounts of a dead predecessor: checkpoint, what came after it, what its calls held."""

from proxy.inheriting import Inheritance
from proxy.judge.claims import Mode, Scope, Settle, Take
from proxy.judge.expected import Learned
from proxy.record.framing import Losses
from proxy.state import tally
from proxy.state.memory import MemoryState
from tests.helpers.governed import make_governor
from tests.helpers.judging import NOW_US

OWNERS = ("", "t\0r", "t\0r", "")
HOUR_US = 3_600_000_000
COUNT = Take(1, Scope.ROOT, 1, -1, -1, Mode.ENFORCE, False, HOUR_US)
HELD = Take(2, Scope.ROOT, 70, -1, -1, Mode.ENFORCE, True, HOUR_US)
LEARNED = Learned(("c", "a", "m", "chat"), (5,), (6,))


def test_what_was_held_is_settled_and_what_was_settled_is_counted_once():
    before, after = MemoryState(9, 10**12), MemoryState(9, 10**12)
    before.accounts.claim([COUNT, HELD], OWNERS, NOW_US)
    pieces = list(before.accounts.books.snapshot())
    losses = Losses()
    governor = make_governor(after)
    heir = Inheritance(after, governor, losses)
    heir.restore([*pieces, b"broken"], [LEARNED])
    heir.replay(tally.claimed([COUNT, HELD], OWNERS, NOW_US))
    heir.replay(tally.changed([Settle(2, "t\0r", 70, 50, HOUR_US)], NOW_US))
    heir.replay(b"")
    heir.end()
    assert after.accounts.used(1, "t\0r", NOW_US) == (2, 0)
    assert after.accounts.used(2, "t\0r", NOW_US) == (120, 0)
    assert losses["accounts"] == 2
    assert heir.learned() == tuple(governor.expected.snapshot())
    assert LEARNED in heir.learned()
    assert list(heir.snapshot())
    heir.end()  # another predecessor, who left nothing
    assert after.accounts.used(1, "t\0r", NOW_US) == (2, 0)


def test_what_others_keep_is_not_taken_over():
    state = MemoryState(9, 10**12)
    heir = Inheritance(None, make_governor(state), Losses())
    heir.replay(tally.claimed([COUNT], OWNERS, NOW_US))
    heir.end()
    assert list(heir.snapshot()) == []
    assert len(state.accounts.books) == 0
