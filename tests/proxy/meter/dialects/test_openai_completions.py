import json

import pytest

from proxy.model import ErrorType, Usage
from tests.helpers.meter import EVENTS, ask_for, data, dumps, read, tee_for

PATH = "/v1/completions"


def chunk(
    text: str | None, finish: str | None = None, **more: object
) -> dict[str, object]:
    choices = [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "choices": choices,
        "model": "instruct",
        **more,
    }


def test_legacy_completions_are_known_under_any_base_path():
    assert ask_for("/openai/deployments/d/completions").operation == "completions"
    assert ask_for(PATH, method="GET").operation == "http"


def test_a_request_is_read():
    request = {
        "model": "m",
        "prompt": ["ab", "c"],
        "stream": True,
        "max_tokens": 3,
        "stream_options": {"include_usage": True},
    }
    ask = ask_for(PATH, json.dumps(request).encode())
    assert (ask.model, ask.stream, ask.includes_usage, ask.max_output_tokens) == (
        "m",
        True,
        True,
        3,
    )
    assert (ask.input_chars, ask.is_step) == (3, True)


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(PATH, body).well_formed == well_formed


def test_a_whole_answer_is_read():
    reading = read(
        PATH,
        dumps(chunk("abc", "stop", usage={"prompt_tokens": 4, "completion_tokens": 3})),
    )
    assert reading.usage == Usage(input=4, output=3)
    assert (reading.model, reading.response_id, reading.finish_reason) == (
        "instruct",
        "cmpl-1",
        "stop",
    )
    assert reading.output_chars == 3


def test_an_answer_without_output_tokens_leaves_them_unknown():
    assert read(
        PATH, dumps(chunk("", "stop", usage={"prompt_tokens": 4, "total_tokens": 4}))
    ).usage == Usage(input=4)


def test_a_stream_is_read():
    usage = {"prompt_tokens": 4, "completion_tokens": 3}
    body = data(
        *(chunk(text, usage=None) for text in ("a", "b", '"', "c")),
        chunk("", "length", usage=None),
        {"id": "cmpl-1", "choices": [], "usage": usage},
        done=True,
    )
    reading = read(PATH, body, content_type=EVENTS)
    assert (reading.usage, reading.usage_json) == (
        Usage(input=4, output=3),
        dumps(usage),
    )
    assert (reading.finish_reason, reading.output_chars, reading.terminal) == (
        "length",
        4,
        True,
    )


def test_output_starts_with_the_first_text():
    tee = tee_for(PATH)
    tee.feed(data(chunk("")))
    assert not tee.output_started
    tee.feed(data(chunk("a")))
    assert tee.output_started


def test_an_error_inside_of_a_stream_is_told():
    reading = read(
        PATH, data(chunk("a"), {"error": {"type": "server_error", "message": "m"}})
    )
    assert (reading.error_in_stream, reading.error_type) == (
        True,
        ErrorType.SERVER_ERROR,
    )


def test_azures_path_names_the_model_where_the_body_does_not():
    assert ask_for("/openai/deployments/d/completions").model == "d"


def test_an_error_may_be_an_object_that_says_so_of_itself():
    error = {"object": "error", "message": "no", "code": 429}
    reading = read(PATH, data(chunk("a"), error))
    assert (reading.error_type, reading.terminal) == (ErrorType.RATE_LIMITED, True)


def test_mistrals_fill_in_the_middle_answers_with_messages():
    path = "/v1/fim/completions"
    usage = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    whole = {"choices": [{"message": {"content": "abc"}}], "usage": usage}
    reading = read(path, dumps(whole))
    assert (reading.usage, reading.output_chars) == (Usage(input=4, output=3), 3)
    event = {"choices": [{"delta": {"content": "ab"}, "finish_reason": None}]}
    tee = tee_for(path, content_type=EVENTS)
    tee.feed(data(event, event))
    assert (tee.reading().output_chars, tee.output_started) == (4, True)


def test_writers_stream_has_values_and_no_end():
    reading = read(PATH, data({"value": "abc"}, {"value": " d"}))
    assert (reading.output_chars, reading.expects_terminal) == (5, False)
    assert (reading.usage, reading.malformed) == (None, False)
