"""What those who copied OpenAI's chat completions made of it, each as its own recordings and documentation have it."""

import json
from typing import Any

import pytest

from proxy.model import ErrorType, Usage
from tests.helpers.meter import CHAT, EVENTS, ask_for, data, dumps, read, tee_for

USAGE = {"prompt_tokens": 12, "completion_tokens": 26, "total_tokens": 38}
BUCKETS = Usage(input=12, output=26)


def chunk(content: str | None = "a", finish: str | None = None, **more: Any):
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c-1", "model": "m", "choices": [choice], **more}


def test_azures_path_names_the_model_where_the_body_does_not():
    path = "/openai/deployments/my%20gpt/chat/completions"
    assert ask_for(path, b"{}").model == "my gpt"
    assert ask_for(path, None).model == "my gpt"
    assert ask_for(path, b'{"model":"gpt-x"}').model == "gpt-x"
    assert ask_for("/openai/v1/chat/completions", b"{}").model == ""


def test_azures_first_chunk_has_no_choices_and_no_usage():
    first = {"choices": [], "id": "", "model": "", "prompt_filter_results": [{}]}
    last = {"choices": [], "id": "c-1", "model": "m", "usage": USAGE}
    body = data(first, chunk(usage=None), chunk(None, "stop"), last, done=True)
    reading = read(CHAT, body)
    assert (reading.usage, reading.model, reading.terminal) == (BUCKETS, "m", True)


def test_groq_says_usage_under_a_name_of_its_own():
    body = data(chunk(None, "stop", x_groq={"id": "req_1", "usage": USAGE}), done=True)
    assert read(CHAT, body).usage == BUCKETS


def test_groqs_error_in_a_200_stream_is_an_event_of_this_name():
    error = {"error": {"message": "Failed", "type": "invalid_request_error", "code": "tool_use_failed"}}  # fmt: skip
    body = data(chunk()) + b"event: error\ndata: %b\n\n" % dumps(error)
    reading = read(CHAT, body, content_type=EVENTS)
    assert (reading.error_in_stream, reading.error_code, reading.terminal) == (
        True,
        "tool_use_failed",
        True,
    )


def test_deepseek_counts_on_in_each_chunk_and_the_last_one_wins():
    counts = [{**USAGE, "completion_tokens": n, "total_tokens": 12 + n} for n in (1, 2, 26)]  # fmt: skip
    body = data(*(chunk(usage=usage) for usage in counts), done=True)
    assert read(CHAT, body).usage == BUCKETS


def test_moonshot_says_usage_in_the_choice():
    last = chunk(None, "stop")
    last["choices"][0]["usage"] = USAGE
    assert read(CHAT, data(chunk(), last, done=True)).usage == BUCKETS


def test_openrouters_own_total_is_taken_exactly():
    usage = {**USAGE, "cost": 0.00014175, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}  # fmt: skip
    body = b": OPENROUTER PROCESSING\n\n" + data(chunk(), chunk("", usage=usage), done=True)  # fmt: skip
    reading = read(CHAT, body)
    assert (reading.usage, reading.cost) == (BUCKETS, 141_750_000)
    assert read(CHAT, dumps({"usage": usage})).cost == 141_750_000
    assert read(CHAT, dumps({"usage": USAGE})).cost is None


@pytest.mark.parametrize(
    "last",
    [
        {"error": {"code": 429, "message": "slow", "metadata": {}}, "choices": []},
        {"choices": [{"index": 0, "error": {"code": 429, "message": "slow"}, "finish_reason": "error"}]},
    ],
    ids=["beside the choices", "in a choice"],
)  # fmt: skip
def test_openrouters_error_inside_a_200_has_a_number(last: dict[str, Any]):
    reading = read(CHAT, data(chunk(), last))
    assert reading.error_type == ErrorType.RATE_LIMITED
    assert (reading.error_code, reading.error_in_stream) == ("429", True)


def test_an_error_may_be_an_object_that_says_so_of_itself():
    error = {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}  # fmt: skip
    reading = read(CHAT, data(chunk(), error))
    assert (reading.error_type, reading.error_code) == (
        ErrorType.INVALID_REQUEST,
        "400",
    )
    both = {**error, "error": {"code": 429}}
    assert read(CHAT, data(both)).error_code == "429"


@pytest.mark.parametrize(
    ("status", "body", "error_type"),
    [
        (401, {"object": "error", "message": "Unauthorized", "type": "x", "code": 1}, ErrorType.AUTH),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body"]}]}, ErrorType.INVALID_REQUEST),
        (429, {"message": "Requests rate limit exceeded"}, ErrorType.RATE_LIMITED),
        (400, {"error": {"code": 400, "message": "m", "type": "BadRequestError"}}, ErrorType.INVALID_REQUEST),
    ],
)  # fmt: skip
def test_error_answers_of_mistral_and_vllm_are_read(status, body, error_type):
    reading = read(CHAT, dumps(body), status=status)
    assert (reading.error_type, reading.malformed) == (error_type, False)


def test_togethers_end_of_sequence_is_a_finish_reason_like_others():
    reading = read(CHAT, data(chunk(None, "eos", usage={**USAGE, "cached_tokens": 2})))
    assert (reading.finish_reason, reading.usage) == (
        "eos",
        Usage(input=10, cache_read=2, output=26),
    )


def test_llama_cpps_timings_count_until_usage_comes():
    timings = {"cache_n": 2, "prompt_n": 10, "predicted_n": 26}
    only = data(chunk(), chunk(None, "stop", timings=timings), done=True)
    assert read(CHAT, only).usage == Usage(input=10, cache_read=2, output=26)
    late = {**timings, "predicted_n": 99}
    both = data(chunk(None, "stop", timings=timings), chunk(usage=USAGE), chunk(timings=late))  # fmt: skip
    assert read(CHAT, both).usage == BUCKETS


def test_a_model_that_searches_is_billed_once_an_answer():
    found = [{"type": "url_citation", "url_citation": {"url": "https://x"}}]
    message = {"content": "a", "annotations": found}
    reading = read(CHAT, dumps({"choices": [{"message": message}], "usage": USAGE}))
    assert reading.server_tool_uses == (("web_search", 1),)
    for other in (None, [], [{"type": "file"}], ["x"]):
        message["annotations"] = other  # type: ignore[assignment]
        body = dumps({"choices": [{"message": message}]})
        assert read(CHAT, body).server_tool_uses == ()


def test_perplexitys_searches_win_over_the_citations_that_show_one():
    found = [{"type": "url_citation"}]
    choice = {"message": {"content": "a", "annotations": found}}
    said = {"choices": [choice], "usage": {**USAGE, "num_search_queries": 4}}
    assert read(CHAT, dumps(said)).server_tool_uses == (("web_search", 4),)


def test_audio_is_output_that_has_started():
    tee = tee_for(CHAT, content_type=EVENTS)
    start = chunk(None)
    start["choices"][0]["delta"]["audio"] = {"id": "audio_1", "data": "AAAA"}
    tee.feed(data(start))
    assert tee.output_started


def test_vllm_may_count_in_every_chunk():
    counts = [{"prompt_tokens": 12, "completion_tokens": n, "total_tokens": 12 + n} for n in range(27)]  # fmt: skip
    events = [chunk(usage=usage) for usage in counts]
    body = data(*events, {"choices": [], "usage": counts[-1]}, done=True)
    reading = read(CHAT, body)
    assert reading.usage == BUCKETS
    assert json.loads(reading.usage_json or b"") == counts[-1]


def test_mistrals_agents_speak_the_same_language():
    path = "/v1/agents/completions"
    call = {"id": "D681PevKs", "function": {"name": "f", "arguments": "{}"}}
    whole = {"choices": [{"message": {"tool_calls": [call]}}], "usage": USAGE}
    reading = read(path, dumps(whole))
    assert [each.name for each in reading.tool_calls] == ["f"]
    assert reading.usage == BUCKETS
    assert ask_for(path).operation == "chat"
    assert ask_for(path, method="GET").operation == "http"
