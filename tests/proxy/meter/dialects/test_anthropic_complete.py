import pytest

from proxy.model import ErrorType
from tests.helpers.meter import ask_for, dumps, named, read

PATH = "/v1/complete"


def completion(text: str, reason: str | None) -> dict[str, object]:
    return {
        "type": "completion",
        "id": "compl_1",
        "completion": text,
        "stop_reason": reason,
        "model": "claude-2",
    }


def test_a_request_is_read():
    ask = ask_for(
        PATH,
        b'{"model": "claude-2", "prompt": "abc", "max_tokens_to_sample": 5, "stream": true}',
    )
    assert (ask.operation, ask.model, ask.input_chars) == ("complete", "claude-2", 3)
    assert (ask.max_output_tokens, ask.stream, ask.is_step) == (5, True, True)
    assert ask_for(PATH, method="GET").operation == "http"


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(PATH, body).well_formed == well_formed


def test_a_whole_answer_has_text_and_no_usage():
    reading = read(PATH, dumps(completion("abc", "stop_sequence")))
    assert (reading.usage, reading.output_chars, reading.finish_reason) == (
        None,
        3,
        "stop_sequence",
    )
    assert (reading.model, reading.response_id, reading.terminal) == (
        "claude-2",
        "compl_1",
        False,
    )


def test_a_stream_ends_with_a_stop_reason():
    events: list[dict[str, object]] = [
        completion("a", None),
        {"type": "ping"},
        completion("bc", None),
    ]
    cut = read(PATH, named(*events))
    assert (cut.terminal, cut.expects_terminal, cut.output_chars) == (False, True, 3)
    assert read(PATH, named(*events, completion("", "max_tokens"))).terminal


def test_an_error_event_is_told():
    reading = read(
        PATH, named({"type": "error", "error": {"type": "overloaded_error"}})
    )
    assert (reading.error_in_stream, reading.error_type) == (True, ErrorType.OVERLOADED)
