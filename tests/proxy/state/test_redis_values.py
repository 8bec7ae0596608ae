from proxy.identify.changes import Lead, Push, Shelf, Wait
from proxy.identify.facts import Asked, Calls, Link, Waits
from proxy.state.redis_values import Names, calls_of, facts_of, time_of, written

CALL = Asked("r", "step", 7, 1, 123, attempt=2, continued_by="next", keys=(5,))


def stored(change: bytes, number: bytes = b"00000007") -> bytes:
    """Do what the script does."""
    named = 21 + int(change[18:21])
    return b"a" + number + change[named + 8 :]


def test_a_call_comes_back_with_the_number_that_the_script_gave_it():
    (change,) = written([Push(5, Shelf.CHAIN, CALL)], "t", Names(1))
    assert facts_of([5], [0, [stored(change)]]) == {5: Calls((CALL,))}
    (numbered,) = facts_of([5], [0, [stored(change, b"00000008")]]).values()
    assert isinstance(numbered, Calls)
    assert numbered.asked[0].step_seq == 8


def test_what_another_version_wrote_is_not_known():
    for values in ([b"a" + b"0" * 31 + b"\x93"], [b"l\x93"], [b"s" + b"0" * 16 + b"\xc1"], [b"ox"], [b"?"], [b"ab"], [b"c"]):  # fmt: skip
        assert not isinstance(facts_of([5], [0, values]).get(5), Calls | Link)


def test_where_a_call_stands_is_read_but_not_what_another_version_wrote():
    (change,) = written([Push(5, Shelf.CHAIN, CALL)], "t", Names(1))
    told = [1, (5).to_bytes(8, "big"), stored(change), 0, bytes(8), b"a" + b"0" * 31 + b"\x93"]  # fmt: skip
    assert calls_of(told) == [Push(5, Shelf.CHAIN, CALL)]


def test_a_run_has_one_name_in_all_changes():
    names = Names(1)
    push, again, lead, wait = written(
        [Push(5, Shelf.CHAIN, CALL), Push(8, Shelf.CHAIN, CALL), Lead(6, Shelf.LINK, Link("r")), Wait(7, Waits("r", 1, 1, ()))], "t", names,
    )  # fmt: skip
    assert push[10:] == again[10:]
    assert push[10:18] == lead[10:18] == wait[9:17] == names.run("t", "r")


def test_names_are_of_a_fixed_width_and_say_nothing():
    names = Names(1)
    assert names.facts([1, (1 << 64) - 1]) == b"\0" * 7 + b"\1" + b"\xff" * 8
    assert len(names.run("tenant", "run")) == 8
    assert names.run("tenant", "") == b""
    assert names.run("a", "bc") != names.run("ab", "c")
    assert names.prefix != Names(2).prefix


def test_times_are_texts_that_compare_as_times_do():
    assert time_of(-5) == b"0" * 16
    assert time_of(999) < time_of(1000) < time_of(1_800_000_000_000_000)
