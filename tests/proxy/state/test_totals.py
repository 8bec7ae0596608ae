from proxy.model import RunOutcome
from proxy.state.totals import NOTHING, Totals

FAILED = Totals(1, 0, 2, 3, RunOutcome.FAILURE)


def test_totals_are_added_part_by_part_and_the_last_call_says_how_it_ends():
    later = Totals(4, 1, 5, 6, RunOutcome.ABANDONED)
    assert NOTHING + FAILED + later == Totals(5, 1, 7, 9, RunOutcome.ABANDONED)


def test_a_report_alone_says_nothing_of_calls_and_the_newest_counts():
    told = FAILED + Totals(reported="success")
    assert told == Totals(1, 0, 2, 3, RunOutcome.FAILURE, "success")
    assert (told + Totals(reported="failure")).reported == "failure"
    assert (told + FAILED).reported == "success"


def test_a_refusal_is_no_attempt_and_says_how_it_ends():
    refused = Totals(inferred=RunOutcome.CAPPED)
    assert FAILED + refused == Totals(1, 0, 2, 3, RunOutcome.CAPPED)
    assert (FAILED + refused + FAILED).inferred is RunOutcome.FAILURE
