"""The words between a relay and who keeps the account."""

from proxy.forward.http1 import AnswerHead
from proxy.forward.watch import Ending, Kept, nothing
from proxy.model import ErrorType, Outcome


def test_an_ending_says_nothing_more_than_it_was_told():
    assert Ending(Outcome.COMPLETED) == Ending(Outcome.COMPLETED, ErrorType.NONE, "")


def test_by_default_nothing_is_kept_back_and_a_head_has_been_given():
    head = AnswerHead.__new__(AnswerHead)
    assert nothing(head) == 0
    assert Kept(b"rest").head is None
