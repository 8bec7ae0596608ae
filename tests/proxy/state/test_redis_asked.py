import asyncio

import pytest

from proxy.state.redis_asked import Asked, Counts, Kept, Script, losses

SCRIPT = Script("return 1")


def asked(found: list[object]) -> Asked:
    made = Asked(SCRIPT, [b"x"], found.append)
    made.future = asyncio.get_running_loop().create_future()
    return made


async def test_a_reply_goes_to_who_waits_for_it_and_else_to_who_takes_it():
    found: list[object] = []
    one, other, note = asked(found), asked(found), Asked(SCRIPT, [], found.append)
    assert one.answered(1)
    assert one.future is not None
    assert one.future.result() == 1
    assert other.future is not None
    other.future.cancel()
    assert other.is_moot()
    assert not other.answered(2)
    assert not note.answered(3)
    assert not Asked(SCRIPT, []).answered(4)
    assert found == [2, 3]


async def test_who_is_cancelled_in_the_moment_of_the_reply_leaves_it_to_who_takes_it():
    found: list[object] = []
    answered, pending, cancelled, failed = (asked(found) for _ in range(4))
    answered.answered(1)
    assert cancelled.future is not None
    cancelled.future.cancel()
    assert failed.future is not None
    failed.future.set_exception(ValueError())
    for each in (answered, pending, cancelled, failed, Asked(SCRIPT, [])):
        each.left()
    assert found == [1]
    assert pending.future is not None
    pending.future.cancel()
    nobody = Asked(SCRIPT, [])
    nobody.future = asyncio.get_running_loop().create_future()
    nobody.answered(1)
    nobody.left()


@pytest.mark.parametrize(("sends_text", "word"), [(False, SCRIPT.sha), (True, SCRIPT.text)])  # fmt: skip
def test_a_script_is_named_by_its_hash_or_sent_in_full(sends_text, word):
    made = Asked(SCRIPT, [b"x"])
    made.sends_text = sends_text
    assert made.command()[1:] == (word, 0, b"x")


def test_changes_without_room_count_as_notes_that_were_lost():
    lost = losses(Kept(untold=2, unjudged=3), Counts(dropped=5))
    assert (lost["state_note"], lost["state_unjudged"]) == (7, 3)
