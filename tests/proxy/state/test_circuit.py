import pytest

from proxy.state.circuit import Circuit, Pauses


class Now:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def circuit(now: Now, dice: float = 0.5) -> Circuit:
    return Circuit(Pauses(1.0, 3.0), now, lambda: dice)


def test_all_pass_until_something_fails_then_one_after_each_pause():
    now = Now()
    made = circuit(now)
    assert made.allows()
    assert made.allows()
    assert made.failed() == 1.0
    assert made.is_open
    assert not made.allows()
    now.seconds += 1.0
    assert [made.allows(), made.allows()] == [True, False]
    made.worked()
    assert made.allows()
    assert not made.is_open


def test_what_fails_within_a_pause_does_not_prolong_it():
    now = Now()
    made = circuit(now)
    made.failed()
    now.seconds += 0.25
    assert made.failed() == 0.75


def test_pauses_double_up_to_the_longest():
    now = Now()
    made = circuit(now)
    waits = []
    for _ in range(4):
        waits.append(made.failed())
        now.seconds += waits[-1]
    assert waits == [1.0, 2.0, 3.0, 3.0]
    assert [made.tried(), made.tried()] == [3.0, 3.0]


@pytest.mark.parametrize(("dice", "seconds"), [(0.0, 0.5), (1.0, 1.5)])
def test_replicas_come_back_at_different_times(dice, seconds):
    assert circuit(Now(), dice).tried() == seconds


@pytest.mark.parametrize("pauses", [(0.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)])
def test_pauses_that_are_none_are_refused(pauses):
    with pytest.raises(ValueError, match="positive"):
        Pauses(*pauses)
