import msgspec
import pytest

from proxy.meter.choices import Choices
from proxy.meter.draft import Draft
from proxy.model import ToolCall
from tests.helpers.meter import dumps


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(dumps(value))


def test_a_text_that_is_said_twice_counts_once():
    draft = Draft(200)
    piece = {"content": "abc"}
    taken = Choices(draft).take(raw([{"index": 0, "delta": piece, "message": piece}]))
    assert (taken, draft.output.chars(), draft.output_started) == (1, 3, True)


def test_whole_messages_are_read():
    draft = Draft(200)
    message = {
        "content": "a",
        "refusal": "no",
        "reasoning_content": "hm",
        "tool_calls": [
            {"index": None, "id": "c1", "function": {"name": "f", "arguments": "{}"}},
            {"index": None, "id": "c2", "function": {"name": "g", "arguments": "[]"}},
            {"index": None},
        ],
    }
    choices = Choices(draft)
    assert choices.take(raw([{"message": message, "finish_reason": "stop"}])) == 1
    reading = draft.reading(expects_terminal=False)
    assert reading.tool_calls == (
        ToolCall("c1", "f", b"{}"),
        ToolCall("c2", "g", b"[]"),
        ToolCall("", "", b""),
    )
    assert (reading.finish_reason, reading.reasoning_chars) == ("stop", 2)
    assert draft.output.chars() == 3


def test_tool_calls_in_pieces_are_joined():
    draft = Draft(200)
    choices = Choices(draft)
    for function in ({"name": "f", "arguments": '{"a"'}, {"arguments": ":1}"}):
        piece = {"index": 0, "function": function}
        choices.take(raw([{"index": 1, "delta": {"tool_calls": [piece]}}]))
    (call,) = draft.reading(expects_terminal=True).tool_calls
    assert (call.name, call.arguments) == ("f", b'{"a":1}')


def test_all_choices_that_began_must_finish():
    choices = Choices(Draft(200))
    assert not choices.finished
    choices.take(raw([{"index": 0}, {"index": 1}]))
    choices.take(raw([{"index": 0, "finish_reason": "stop"}]))
    assert not choices.finished
    choices.take(raw([{"index": 1, "finish_reason": "stop"}, {"index": 1}]))
    assert choices.finished


def test_all_choices_that_were_asked_for_must_finish():
    choices = Choices(Draft(200), 2)
    choices.take(raw([{"index": 0, "finish_reason": "stop"}]))
    assert not choices.finished
    choices.take(raw([{"index": 1, "finish_reason": "stop"}]))
    assert choices.finished


@pytest.mark.parametrize(("said", "count"), [(None, None), ([], 0)])
def test_an_empty_list_is_not_none(said: object, count: int | None):
    assert Choices(Draft(200)).take(raw(said)) == count
    assert Choices(Draft(200)).take(msgspec.Raw()) is None
