from proxy.meter.draft import (
    MAX_ARGUMENT_BYTES,
    MAX_TEXT_CHARS,
    MAX_TOOL_CALLS,
    Draft,
    Text,
)
from proxy.model import ErrorType, ToolCall


def test_text_is_counted_decoded_and_raw():
    text = Text()
    text.add("ab")
    text.add([{"type": "text", "text": "c"}])
    text.add(None)
    text.parts += [b"\\n", b"\xc3\xa9"]
    assert text.chars() == text.chars() == 5
    assert text.parts == []


def test_the_first_id_and_model_that_are_not_empty_stay():
    draft = Draft(200)
    for pair in ((None, ""), ("a", "m"), ("b", "n")):
        draft.identify(*pair)
    assert (draft.response_id, draft.model) == ("a", "m")


def test_a_call_takes_its_id_and_name_whenever_they_come():
    draft = Draft(200)
    draft.call(0, "", "")
    draft.call(0, "id", "").add("{")
    draft.call(0, "other", "name").add(None)
    assert draft.reading(expects_terminal=True).tool_calls == (
        ToolCall("id", "name", b"{"),
    )


def test_arguments_in_one_piece_win():
    call = Draft(200).call(0, "", "")
    call.first = b"{}"
    assert call.bytes() == b"{}"
    call.add("[1")
    assert call.bytes() == b"[1"
    call.whole = b"[1]"
    assert call.bytes() == b"[1]"


def test_the_number_of_calls_is_bounded_and_told():
    draft = Draft(200)
    for key in range(MAX_TOOL_CALLS + 3):
        draft.call(key, str(key), "f")
    reading = draft.reading(expects_terminal=True)
    assert len(reading.tool_calls) == MAX_TOOL_CALLS
    assert reading.malformed


def test_arguments_are_bounded_over_all_calls_while_they_come_and_at_the_end():
    draft = Draft(200)
    draft.call(0, "", "f").arguments.extend([b"x" * 1000] * 500)
    draft.call(1, "", "g").arguments.extend([b"y" * 1000] * 900)
    draft.compact()
    assert draft.truncated
    assert (
        sum(len(piece) for call in draft.calls.values() for piece in call.arguments)
        == MAX_ARGUMENT_BYTES
    )
    draft.call(2, "", "h").add("z")
    calls = draft.reading(expects_terminal=True).tool_calls
    assert [len(call.arguments) for call in calls] == [
        500_000,
        MAX_ARGUMENT_BYTES - 500_000,
        0,
    ]


def test_compacting_changes_no_count():
    draft = Draft(200)
    draft.output.parts += [b"a", b"b"]
    draft.reasoning.parts += [b"c"]
    draft.call(0, "", "f").add("{}")
    draft.compact()
    draft.output.parts.append(b"d")
    draft.call(0, "", "f").add(" ")
    reading = draft.reading(expects_terminal=False)
    assert (reading.output_chars, reading.reasoning_chars) == (3 + 3, 1)
    assert reading.tool_calls[0].arguments == b"{} "


def test_a_failure_after_a_200_is_one_in_the_stream():
    for status, in_stream in ((200, True), (400, False)):
        draft = Draft(status)
        draft.fail({"type": "overloaded_error"})
        reading = draft.reading(expects_terminal=True)
        assert (reading.error_type, reading.error_in_stream) == (
            ErrorType.OVERLOADED,
            in_stream,
        )
        assert reading.terminal


def test_an_answer_that_may_stay_open_expects_no_end():
    draft = Draft(200)
    assert draft.reading(expects_terminal=True).expects_terminal
    draft.open_ended = draft.error_answer = True
    reading = draft.reading(expects_terminal=True)
    assert (reading.expects_terminal, reading.error_answer) == (False, True)


def test_text_is_kept_in_its_order_up_to_a_bound_and_its_pieces_are_counted():
    text = Text()
    text.parts += [b"a", b"", b"b"]
    text.add(["c", {"text": "d"}])
    text.parts.append(b"x" * MAX_TEXT_CHARS)
    text.add("beyond")
    assert text.text() == ("abcd" + "x" * MAX_TEXT_CHARS)[:MAX_TEXT_CHARS]
    assert text.chars() == MAX_TEXT_CHARS + 10
    assert text.deltas() == 5


def test_pieces_of_arguments_are_counted_also_when_they_have_been_joined():
    draft = Draft(200)
    call = draft.call(0, "", "f")
    draft.compact()
    for piece in ("", "{", None, "}"):
        call.add(piece)
    draft.compact()
    call.arguments.append(b" ")
    assert call.deltas() == 3
    assert draft.reading(expects_terminal=True).output_deltas == 3
