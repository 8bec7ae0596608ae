"""Ids are unique, and the same for the same seed."""

from proxy.simulate.ids import LENGTH, Ids, hexadecimal


def test_ids_never_repeat_and_follow_from_the_seed():
    ids, same, other = Ids("1"), Ids("1"), Ids("2")
    made = [ids.next() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert {len(each) for each in made} == {LENGTH}
    assert same.next() == made[0] != other.next()


def test_hexadecimal_ids_have_48_digits():
    assert len(hexadecimal(Ids("1").next())) == 48
