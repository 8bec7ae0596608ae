"""Calls become columns of equal length."""

from exporters.enrich.asked import asked_columns
from exporters.enrich.rows import step_rows
from proxy.model import Cost, Outcome, Usage
from proxy.record.codec import AskedCall, Close, Open, PartUsage

CALLS = (AskedCall("c1", "f", 2**64 - 1), AskedCall("c2", "g", 2**64 + 5, "bad_json"))


def test_each_call_has_its_place_in_each_column():
    assert asked_columns(CALLS) == {
        "call_id": ("c1", "c2"),
        "call_tool": ("f", "g"),
        "call_args_hash": (2**64 - 1, 5),
        "call_problem": ("", "bad_json"),
    }
    assert asked_columns(()) == dict.fromkeys(asked_columns(CALLS), ())


def test_they_stand_in_the_row_of_the_exchange_alone():
    part = PartUsage("m", Usage(input=1), Cost())
    close = Close("a1", 2, Outcome.COMPLETED, calls=CALLS, parts=(part,))
    row, other = step_rows(Open("a1", "s1", 1, "here", "acme"), close, None)
    assert row.call_tool == ("f", "g")
    assert row.call_problem == ("", "bad_json")
    assert other.call_tool == ()
