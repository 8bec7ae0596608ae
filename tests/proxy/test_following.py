"""When a run is told of an exchange."""

import pytest

from proxy.following import Following
from proxy.model import ErrorType, Outcome, Reading
from proxy.trail import Trail
from tests.helpers.pipelines import Told, make_desk, make_spool

FAILED = (Outcome.UPSTREAM_ERROR, ErrorType.SERVER_ERROR, Reading(), 5)


class Fake(Trail):
    def __init__(self, *, is_broken: bool = False) -> None:
        self.begun = (b"begun",)
        self.is_broken = is_broken

    def answered(self, *_: object) -> tuple[bytes, ...]:
        assert not self.is_broken
        return (b"answered",)

    def again(self, now_us: int) -> Trail:
        assert not self.is_broken
        return Fake()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def desk(told: Told, tmp_path):
    spool = make_spool(tmp_path)
    yield make_desk(spool, told)
    spool.close()


def test_a_run_is_told_unless_another_attempt_may_follow(desk):
    following = Following(desk, Fake())
    assert following.begun() == (b"begun",)
    following.waits = True
    assert following.tell(*FAILED) == ()
    following.waits = False
    assert following.tell(*FAILED) == (b"answered",)
    following.is_over = True
    assert following.tell(*FAILED) == ()


def test_what_is_passed_on_is_told_by_the_next_attempt_alone(desk):
    following = Following(desk, Fake())
    assert isinstance(following.pass_on(1), Fake)
    assert (following.begun(), following.tell(*FAILED), following.pass_on(1)) == ((), (), None)  # fmt: skip


def test_a_fault_costs_only_what_would_have_been_told(desk, told: Told):
    following = Following(desk, Fake(is_broken=True))
    assert following.tell(*FAILED) == ()
    assert following.pass_on(1) is None
    assert told.faults == {"identify": 2}
