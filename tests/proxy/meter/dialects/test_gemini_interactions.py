import json
from typing import Any

import pytest

from proxy.model import ErrorType, Kind, Reading, ToolCall, Usage
from tests.helpers.meter import EVENTS, ask_for, dumps, read, tee_for

CREATE = "/v1beta/interactions"
ONE = f"{CREATE}/v1_abc"


def used(thoughts: int = 207, **more: Any) -> dict[str, Any]:
    return {
        "total_tokens": 22 + thoughts,
        "total_input_tokens": 9,
        "total_cached_tokens": 0,
        "total_output_tokens": 13,
        "total_tool_use_tokens": 0,
        "total_thought_tokens": thoughts,
        **more,
    }


COUNTED = Usage(input=9, cache_read=0, output=13, reasoning=207)


def interaction(status: str = "completed", **fields: Any) -> dict[str, Any]:
    return {
        "id": "v1_abc",
        "status": status,
        "object": "interaction",
        "model": "gemini-2.5-flash",
        **fields,
    }


def events(*values: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (value["event_type"].encode(), dumps(value))
        for value in values
    )


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"event_type": kind, **fields}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return event("step.delta", index=index, delta={"type": kind, **fields})


DONE = b"event: done\ndata: [DONE]\n\n"
CREATED = event("interaction.created", interaction=interaction("in_progress"))
COMPLETED = event(
    "interaction.completed",
    interaction=interaction(usage=used(), service_tier="standard"),
)


@pytest.mark.parametrize(
    ("method", "path", "operation", "kind", "is_step"),
    [
        ("POST", CREATE, "interactions", Kind.LLM, True),
        ("POST", "/v1/interactions", "interactions", Kind.LLM, True),
        (
            "POST",
            "/v1beta1/projects/p/locations/global/interactions",
            "interactions",
            Kind.LLM,
            True,
        ),
        ("GET", ONE, "interactions_get", Kind.LLM, False),
        ("POST", f"{ONE}/cancel", "interactions_cancel", Kind.LLM, False),
        ("DELETE", ONE, "interactions_delete", Kind.OTHER, False),
        ("GET", CREATE, "other", Kind.OTHER, False),
        ("POST", "/v1/things/interactions", "http", Kind.OTHER, True),
    ],
)
def test_operations_are_told_apart(
    method: str, path: str, operation: str, kind: Kind, is_step: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.kind, ask.is_step) == (operation, kind, is_step)


def test_a_request_is_read():
    request = {
        "model": "gemini-2.5-flash",
        "input": [{"type": "text", "text": "123"}, {"type": "image", "data": "QUJD"}],
        "system_instruction": "45",
        "tools": [{}],
        "stream": True,
        "background": True,
        "service_tier": "flex",
        "generation_config": {"max_output_tokens": 9},
    }
    ask = ask_for(CREATE, json.dumps(request).encode())
    assert (ask.model, ask.stream, ask.background, ask.service_tier) == (
        "gemini-2.5-flash",
        True,
        True,
        "flex",
    )
    assert (ask.input_chars, ask.max_output_tokens) == (5 + len("[{}]"), 9)


def test_an_agent_stands_for_a_model():
    assert ask_for(CREATE, b'{"agent":"deep-research","input":"x"}').model == (
        "deep-research"
    )


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(CREATE, body).well_formed == well_formed


STEPS = [
    {"type": "thought", "signature": "x" * 50, "summary": [{"text": "hmm"}]},
    {"type": "function_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
    {"type": "google_search_call", "arguments": {"queries": ["q"]}},
    {"type": "model_output", "content": [{"type": "text", "text": "Hello"}]},
]


@pytest.mark.parametrize("path", [CREATE, ONE, f"{ONE}/cancel"])
def test_a_whole_answer_is_read(path: str):
    usage = used(grounding_tool_count=[{"type": "google_search", "count": 2}, {}, 3])
    body = dumps(
        interaction(
            "requires_action", usage=usage, service_tier="standard", steps=STEPS
        )
    )
    reading = read(path, body)
    assert reading.usage == COUNTED
    assert reading.usage_json == dumps(usage)
    assert (reading.model, reading.response_id, reading.finish_reason) == (
        "gemini-2.5-flash",
        "v1_abc",
        "requires_action",
    )
    assert reading.tool_calls == (ToolCall("c1", "f", b'{"a":1}'),)
    assert (reading.output_chars, reading.reasoning_chars, reading.service_tier) == (
        5 + 7,
        3,
        "standard",
    )
    assert reading.server_tool_uses == (("web_search", 1),)
    assert not reading.expects_terminal


def test_the_outputs_of_an_early_preview_are_read():
    outputs = [{"type": "text", "text": "Hello"}, {"type": "thought"}]
    assert read(CREATE, dumps(interaction(outputs=outputs))).output_chars == 5


def test_a_stream_is_read():
    image = {"input_tokens_by_modality": [{"modality": "image", "tokens": 5}]}
    body = events(
        CREATED | {"metadata": {"usage": used(68)}},
        event("interaction.status_update", status="in_progress", usage=used(69)),
        event("step.start", index=0, step={"type": "thought"}),
        delta(0, "thought_signature", signature="x" * 100),
        delta(0, "thought_summary", content={"type": "text", "text": "hmm"}),
        event("step.stop", index=0),
        event("step.start", index=1, step={"type": "function_call", "name": "f"}),
        delta(1, "arguments_delta", arguments='{"a"'),
        delta(1, "arguments_delta", arguments=":1}"),
        delta(2, "function_call", id="c2", name="g", arguments={"b": 2}),
        delta(3, "text", text="Hello")
        | {"metadata": {"total_usage": used(99, **image)}},
        delta(3, "video", data="QUJD"),
        COMPLETED,
    )
    reading = read(CREATE, body + DONE)
    assert reading.usage == COUNTED
    assert reading.tool_calls == (
        ToolCall("", "f", b'{"a":1}'),
        ToolCall("c2", "g", b'{"b":2}'),
    )
    assert (reading.output_chars, reading.reasoning_chars) == (5 + 7 + 7, 3)
    assert (reading.finish_reason, reading.terminal, reading.malformed) == (
        "completed",
        True,
        False,
    )
    assert (reading.response_id, reading.service_tier) == ("v1_abc", "standard")
    assert not reading.deferred


@pytest.mark.parametrize("end", ["interaction.completed", "interaction.complete"])
def test_the_completed_interaction_ends_the_stream(end: str):
    tee = tee_for(CREATE, content_type=EVENTS)
    tee.feed(events(CREATED, delta(0, "text", text="a")))
    assert not tee.terminal
    tee.feed(events(COMPLETED | {"event_type": end})[:-1])
    assert tee.reading().usage == COUNTED
    assert tee.terminal


def test_a_stream_cut_short_keeps_what_was_counted():
    cut = delta(0, "text", text="a") | {"metadata": {"usage": used(126)}}
    reading = read(CREATE, events(CREATED, cut))
    assert reading.usage == Usage(input=9, cache_read=0, output=13, reasoning=126)
    assert not reading.terminal


@pytest.mark.parametrize("status", ["in_progress", "queued"])
def test_a_background_answer_is_counted_later(status: str):
    reading = read(CREATE, dumps(interaction(status, model=None, agent="deep")))
    assert (reading.deferred, reading.finish_reason, reading.model) == (
        True,
        "",
        "deep",
    )
    assert not read(ONE, dumps(interaction(status, usage=used()))).deferred


@pytest.mark.parametrize("background", [False, True])
def test_only_the_tokens_of_a_stream_in_the_background_come_later(background: bool):
    body = events(CREATED, delta(0, "text", text="abc"))
    request = dumps({"model": "m", "stream": True, "background": background})
    reading = read(CREATE, body, request=request, content_type=EVENTS)
    assert (reading.deferred, reading.output_chars) == (background, 3)


def test_what_a_stream_counted_is_not_put_off():
    body = events(CREATED, event("step.stop", metadata={"total_usage": used()}))
    request = dumps({"model": "m", "stream": True, "background": True})
    reading = read(CREATE, body, request=request, content_type=EVENTS)
    assert (reading.deferred, reading.usage) == (False, COUNTED)


def test_an_error_in_a_stream_is_told():
    error = {"code": "429", "message": "slow down"}
    reading = read(CREATE, events(CREATED, event("error", error=error)))
    assert reading.error_in_stream
    assert reading.terminal
    assert reading.error_type == ErrorType.RATE_LIMITED
    assert read(CREATE, events(event("error"))).error_in_stream


@pytest.mark.parametrize("error", [None, {"code": "500"}])
def test_an_interaction_that_failed_is_an_error(error: Any):
    reading = read(CREATE, dumps(interaction("failed", error=error, usage=used())))
    assert reading.error_in_stream
    assert reading.error_code == ("500" if error else "failed")
    assert reading.usage == COUNTED


def test_an_error_answer_is_told():
    body = b'{"error":{"message":"bad key","code":"invalid_request"}}'
    for path in (CREATE, ONE):
        assert read(path, body, status=401).error_type == ErrorType.AUTH


def test_deleting_says_nothing():
    assert read(ONE, b"{}", method="DELETE") == Reading()


@pytest.mark.parametrize(
    ("said", "started"),
    [
        (CREATED, False),
        (event("step.start", index=0, step={"type": "model_output"}), False),
        (delta(0, "thought_signature", signature="x"), False),
        (delta(0, "thought_summary", content={"text": "a"}), True),
        (delta(0, "text", text="a"), True),
        (event("step.start", index=0, step={"type": "function_call"}), True),
    ],
)
def test_output_starts_with_the_first_token(said: dict[str, Any], started: bool):
    tee = tee_for(CREATE)
    tee.feed(events(said))
    assert tee.output_started == started


def test_what_cannot_be_read_is_told_and_the_rest_is_read():
    odd = b"event: step.delta\ndata: {]}\n\n"
    reading = read(CREATE, odd + events(event("new", usage=7), COMPLETED))
    assert (reading.malformed, reading.usage) == (True, COUNTED)
    assert read(CREATE, dumps(interaction(usage={}))).usage is None
