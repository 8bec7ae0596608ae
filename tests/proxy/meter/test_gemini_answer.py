import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.draft import MAX_ARGUMENT_BYTES
from proxy.model import ErrorType, ToolCall, Usage
from tests.helpers.meter import EVENTS, data, dumps, read, tee_for

MODEL = "/v1beta/models/gemini-2.5-flash"
WHOLE = f"{MODEL}:generateContent"
STREAM = f"{MODEL}:streamGenerateContent"


def chunk(*parts: Any, finish: Any = None, **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "modelVersion": "gemini-2.5-flash-001",
        "responseId": "r1",
        **fields,
    }


def used(prompt: Any = None, output: Any = None, **more: Any) -> dict[str, Any]:
    said = {"promptTokenCount": prompt, "candidatesTokenCount": output, **more}
    return {"usageMetadata": {k: v for k, v in said.items() if v is not None}}


def text(found: str, **more: Any) -> dict[str, Any]:
    return {"text": found, **more}


def crlf(*values: Any) -> bytes:
    return data(*values).replace(b"\n", b"\r\n")


def test_a_whole_answer_is_read():
    usage = used(10, 5, thoughtsTokenCount=7, serviceTier="standard")
    call = {"id": "c1", "name": "f", "args": {"a": 1}}
    parts = [
        text("hmm", thought=True),
        text("Hello"),
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"output": "2"}},
        {"functionCall": call, "thoughtSignature": "x" * 99},
        {"functionCall": {"name": "g"}},
    ]
    reading = read(
        WHOLE, dumps(chunk(*parts, finish="STOP", **usage)), content_type="json"
    )
    assert reading.usage == Usage(input=10, output=5, reasoning=7)
    assert reading.usage_json == dumps(usage["usageMetadata"])
    assert (reading.model, reading.response_id, reading.finish_reason) == (
        "gemini-2.5-flash-001",
        "r1",
        "STOP",
    )
    assert reading.tool_calls == (
        ToolCall("c1", "f", b'{"a":1}'),
        ToolCall("", "g", b""),
    )
    assert (reading.output_chars, reading.reasoning_chars, reading.service_tier) == (
        5 + 3 + 7,
        3,
        "standard",
    )
    assert not reading.expects_terminal


CHUNKS = (
    chunk(text("hm", thought=True), **used(11)),
    chunk(text('a"}'), **used(11, 2, thoughtsTokenCount=6)),
    chunk(text("bc"), finish="STOP", **used(10, 5, thoughtsTokenCount=6)),
)


@pytest.mark.parametrize(
    "body",
    [
        data(*CHUNKS),
        crlf(*CHUNKS),
        dumps(CHUNKS),
        json.dumps(CHUNKS, indent=1).encode(),
    ],
    ids=["lf", "crlf", "array", "pretty"],
)
def test_a_stream_is_read_in_each_framing_and_the_last_usage_holds(body: bytes):
    reading = read(STREAM, body)
    assert reading.usage == Usage(input=10, output=5, reasoning=6)
    assert (reading.output_chars, reading.reasoning_chars) == (5, 2)
    assert (reading.finish_reason, reading.terminal, reading.malformed) == (
        "STOP",
        True,
        False,
    )


def test_the_chunk_with_finish_reason_and_usage_ends_the_stream():
    tee = tee_for(STREAM, content_type=EVENTS)
    tee.feed(crlf(*CHUNKS[:2]))
    assert not tee.terminal
    tee.feed(crlf(CHUNKS[2])[:-2])
    assert tee.reading().usage == Usage(input=10, output=5, reasoning=6)
    assert tee.terminal


def test_usage_after_the_finish_reason_is_waited_for():
    tee = tee_for(STREAM, content_type=EVENTS)
    tee.feed(data(chunk(text("a"), finish="STOP")))
    assert not tee.terminal
    assert tee.reading().terminal
    tee.feed(data({"usageMetadata": {"trafficType": "ON_DEMAND"}}))
    assert not tee.terminal
    tee.feed(data(used(3, 1)))
    assert tee.reading().usage == Usage(input=3, output=1)
    assert tee.terminal


def test_models_that_finish_each_chunk_end_with_the_body():
    tee = tee_for("/v1/models/gemini-1.5-pro:streamGenerateContent")
    for output in (1, 9):
        said = chunk(text("a"), finish="STOP", **used(3, output))
        del said["modelVersion"]
        tee.feed(data(said))
        assert not tee.terminal
    assert tee.reading().usage == Usage(input=3, output=9)
    assert tee.reading().terminal


def test_all_candidates_must_have_finished():
    def both(*finish: str | None) -> dict[str, Any]:
        candidates = [
            {"index": index, "content": {"parts": [text("a")]}, "finishReason": reason}
            for index, reason in enumerate(finish)
        ]
        return {"candidates": candidates, **used(3, 1)}

    tee = tee_for(STREAM)
    for finish, ended in (((None, None), False), (("STOP", None), False)):
        tee.feed(data(both(*finish)))
        assert (tee.terminal, tee.reading().terminal) == (ended, ended)
    tee.feed(data({"candidates": [{"index": 1, "finishReason": "STOP"}], **used(3, 2)}))
    assert tee.terminal
    assert tee.reading().output_chars == 4


@pytest.mark.parametrize("name", ["candidateCount", "candidate_count"])
def test_candidates_may_come_one_after_the_other(name: str):
    request = dumps({"contents": [], "generationConfig": {name: 2}})
    one, two = (
        {
            "candidates": [{"index": index, "finishReason": "STOP"}],
            **used(3, 4 + 5 * index),
        }
        for index in range(2)
    )
    tee = tee_for(STREAM, request=request)
    ended = []
    for chunk_of_one in (one, two):
        tee.feed(data(chunk_of_one))
        # If the body ends after the first, nothing is missing all the same.
        ended.append((tee.terminal, tee.reading().terminal))
    assert ended == [(False, True), (True, True)]
    assert tee.reading().usage == Usage(input=3, output=9)


def test_a_prompt_that_was_blocked_has_no_candidates_to_wait_for():
    request = dumps({"contents": [], "generationConfig": {"candidateCount": 2}})
    tee = tee_for(STREAM, request=request)
    tee.feed(data({"promptFeedback": {"blockReason": "SAFETY"}, **used(3)}))
    assert tee.terminal


def test_a_stream_cut_short_keeps_what_was_counted():
    reading = read(STREAM, data(*CHUNKS[:2]))
    assert reading.usage == Usage(input=11, output=2, reasoning=6)
    assert (reading.terminal, reading.finish_reason) == (False, "")


def test_vertex_counts_only_in_its_last_chunk():
    waiting = {"usageMetadata": {"trafficType": "ON_DEMAND"}}
    body = data(
        chunk(text("a"), **waiting),
        chunk(text("b"), finish="STOP", **used(8, 4, trafficType="ON_DEMAND")),
    )
    reading = read(STREAM, body)
    assert reading.usage == Usage(input=8, output=4)
    assert reading.service_tier == "on_demand"
    assert read(STREAM, data(chunk(text("a"), **waiting))).usage is None


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("MAX_TOKENS", "MAX_TOKENS"),
        (1, "STOP"),
        (2, "MAX_TOKENS"),
        (15, "UNEXPECTED_TOOL_CALL"),
        (99, "99"),
        (0, ""),
        ("FINISH_REASON_UNSPECIFIED", ""),
    ],
)
def test_words_may_be_written_as_numbers(finish: Any, reason: str):
    reading = read(STREAM, dumps([chunk(text("a"), finish=finish, **used(1, 1))]))
    assert reading.finish_reason == reason
    assert reading.terminal == bool(reason)


@pytest.mark.parametrize(
    ("block", "reason"), [("SAFETY", "SAFETY"), (4, "PROHIBITED_CONTENT"), (None, "")]
)
def test_a_prompt_that_was_blocked_ends_the_stream(block: Any, reason: str):
    reading = read(STREAM, data({"promptFeedback": {"blockReason": block}, **used(4)}))
    assert (reading.finish_reason, reading.terminal) == (reason, bool(reason))
    assert reading.usage == Usage(input=4)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_error_in_the_middle_of_a_stream_is_told(indent: int | None):
    error = {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}
    body = data(CHUNKS[0], {"error": error})
    for reading in (
        read(STREAM, body, content_type=EVENTS),
        read(STREAM, json.dumps([CHUNKS[0], {"error": error}], indent=indent).encode()),
    ):
        assert reading.error_in_stream
        assert reading.terminal
        assert (reading.error_type, reading.error_code) == (
            ErrorType.SERVER_ERROR,
            "503",
        )
        assert reading.usage == Usage(input=11)


@pytest.mark.parametrize("in_array", [False, True])
@pytest.mark.parametrize("path", [WHOLE, STREAM, f"{MODEL}:countTokens"])
def test_an_error_answer_is_told(path: str, in_array: bool):
    error = {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}
    reading = read(path, dumps([error] if in_array else error), status=429)
    assert reading.error_type == ErrorType.RATE_LIMITED
    assert not reading.error_in_stream


def test_an_error_in_place_of_an_answer_is_told():
    reading = read(WHOLE, b'{"error":{"code":500}}')
    assert (reading.error_in_stream, reading.error_type) == (
        True,
        ErrorType.SERVER_ERROR,
    )


def test_a_sentinel_of_a_gateway_is_passed_by():
    assert not read(STREAM, data(*CHUNKS, done=True)).malformed


# What makes this family special (wire.md of the research, §5).


def test_tool_calls_without_ids_are_kept_apart_over_chunks():
    def call(city: str) -> dict[str, Any]:
        return {"functionCall": {"name": "get_weather", "args": {"city": city}}}

    body = crlf(
        chunk(call("Boston"), call("Boston"), **used(71, 16)),
        chunk(call("New Delhi"), finish="STOP", **used(71, 33)),
    )
    assert read(STREAM, body).tool_calls == (
        ToolCall("", "get_weather", b'{"city":"Boston"}'),
        ToolCall("", "get_weather", b'{"city":"Boston"}'),
        ToolCall("", "get_weather", b'{"city":"New Delhi"}'),
    )


def test_file_search_streamed_reads_more_input_and_counts_output_anew():
    """The counts as they were once recorded: output fell and vanished between chunks, tool use came last."""
    counts: list[tuple[int, int | None, int, int | None]] = [
        (9, 15, 78, None),
        (9, 51, 78, None),
        (87, None, 78, 400),
        (87, 57, 78, 1200),
        (87, None, 78, 1200),
    ]
    chunks = [
        chunk(text("a"), **used(p, o, thoughtsTokenCount=t, toolUsePromptTokenCount=u))
        for p, o, t, u in counts
    ]
    chunks[-1]["candidates"][0] |= {
        "finishReason": "STOP",
        "groundingMetadata": {
            "groundingChunks": [{"retrievedContext": {"text": "x"}}],
            "retrievalQueries": ["q"],
        },
    }
    reading = read(STREAM, crlf(*chunks))
    assert reading.usage == Usage(input=87 + 1200, output=None, reasoning=78)
    assert reading.server_tool_uses == ()


@pytest.mark.parametrize("as_stream", [True, False])
def test_cached_content_is_taken_out_of_the_prompt(as_stream: bool):
    usage = used(
        5022,
        12,
        cachedContentTokenCount=5000,
        cacheTokensDetails=[{"modality": "AUDIO", "tokenCount": 4000}],
        promptTokensDetails=[
            {"modality": "TEXT", "tokenCount": 1022},
            {"modality": "AUDIO", "tokenCount": 4000},
        ],
    )
    said = chunk(text("a"), finish="STOP", **usage)
    path, body = (STREAM, crlf(said)) if as_stream else (WHOLE, dumps(said))
    reading = read(path, body)
    assert reading.usage == Usage(input=22, cache_read=5000, output=12, audio_in=0)
    assert reading.details == (("cache_audio_read", 4000),)


def test_searches_are_counted_once_over_all_chunks():
    def found(model: str, *queries: Any) -> dict[str, Any]:
        said = chunk(text("a"), **used(1, 1))
        grounding = {"webSearchQueries": queries, "imageSearchQueries": ["i"]}
        said["candidates"][0]["groundingMetadata"] = grounding
        return said | {"modelVersion": model}

    for model, billed in (("gemini-3-pro", 3), ("gemini-2.5-pro", 1)):
        body = data(found(model, "a", "", "b"), found(model, "b", None))
        assert read(STREAM, body).server_tool_uses == (("web_search", billed),)


def test_arguments_that_vertex_streams_are_put_together():
    def piece(path: str, more: bool = True, **value: Any) -> dict[str, Any]:
        return {"jsonPath": path, "willContinue": more, **value}

    body = data(
        chunk({"functionCall": {"name": "f", "willContinue": True}}),
        chunk({"functionCall": {"partialArgs": [piece("$.city", stringValue="New ")]}}),
        chunk(
            {
                "functionCall": {
                    "partialArgs": [
                        piece("$.city", stringValue="Delhi"),
                        piece("$.days", numberValue=3),
                        piece("$.a.b", boolValue=True),
                        7,
                    ]
                }
            },
            {"functionCall": {}},
        ),
        chunk({"functionCall": {"name": "g", "args": {}}}, finish="STOP", **used(1, 1)),
    )
    assert read(STREAM, body).tool_calls == (
        ToolCall("", "f", b'{"city":"New Delhi","days":3,"a.b":true}'),
        ToolCall("", "g", b"{}"),
    )


def pieces_of(*texts: str) -> list[bytes]:
    path = {"jsonPath": "$.text", "willContinue": True}
    calls: list[dict[str, Any]] = [{"name": "f", "willContinue": True}]
    calls += [{"partialArgs": [{**path, "stringValue": text}]} for text in texts]
    return [data(chunk({"functionCall": call})) for call in calls]


def test_a_long_argument_in_many_pieces_is_written_out_once(
    monkeypatch: pytest.MonkeyPatch,
):
    written: list[Any] = []

    def write(value: Any) -> bytes:
        written.append(value)
        return dumps(value)

    monkeypatch.setattr("proxy.meter.gemini_answer.msgspec.json.encode", write)
    tee = tee_for(STREAM)
    for event in pieces_of(*["ab"] * 100):
        tee.feed(event)
    assert tee.reading().tool_calls == (ToolCall("", "f", dumps({"text": "ab" * 100})),)
    assert len(written) == 1


def test_pieces_of_arguments_beyond_the_cap_are_not_kept():
    most = MAX_ARGUMENT_BYTES - 100
    tee = tee_for(STREAM)
    for event in pieces_of("x" * most, "y" * 101):
        tee.feed(event)
    reading = tee.reading()
    assert reading.tool_calls[0].arguments == dumps({"text": "x" * most})
    assert reading.malformed


def test_arguments_beyond_the_cap_are_not_kept():
    call = {"functionCall": {"name": "f", "args": {"a": "x" * MAX_ARGUMENT_BYTES}}}
    tee = tee_for(WHOLE)
    tee.feed(dumps(chunk(call)))
    reading = tee.reading()
    assert reading.tool_calls == (ToolCall("", "f", b""),)
    assert reading.malformed


@pytest.mark.parametrize(
    ("part", "started"),
    [
        (text(""), False),
        ({"thoughtSignature": "x"}, False),
        (text("a"), True),
        (text("a", thought=True), True),
        ({"functionCall": {"name": "f"}}, True),
        ({"executableCode": {"code": "1"}}, True),
        ({"inlineData": {"data": "QUJD"}}, True),
    ],
)
def test_output_starts_with_the_first_token(part: dict[str, Any], started: bool):
    tee = tee_for(STREAM)
    tee.feed(data(chunk(**used(1)), chunk(part)))
    assert tee.output_started == started


@pytest.mark.parametrize(
    "odd",
    [
        b'data: {"candidates":7}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":[]}]}}]}\n\n',
        b"data: {]}\n\n",
    ],
)
def test_malformed_events_are_told_and_the_others_are_read(odd: bytes):
    reading = read(STREAM, odd + data(*CHUNKS))
    assert reading.malformed
    assert reading.usage == Usage(input=10, output=5, reasoning=6)


@pytest.mark.parametrize(
    "odd",
    [
        {"candidates": None},
        {"candidates": [{}]},
        {"candidates": [{"content": None, "index": "x"}]},
        {"candidates": [{"content": {"parts": None}, "finishReason": []}]},
        {"usageMetadata": 7},
    ],
)
def test_members_that_are_missing_are_passed_by(odd: dict[str, Any]):
    reading = read(WHOLE, dumps(odd))
    assert (reading.usage, reading.malformed) == (None, False)


@given(
    st.lists(
        st.sampled_from(
            [
                *(crlf(each) for each in CHUNKS),
                b"data: ",
                b"{",
                b'"usageMetadata":{"promptTokenCount":7}',
                b"}\r\n\r\n",
                b"[",
                b"]",
                b",",
                dumps(CHUNKS[1]),
                dumps(CHUNKS[2]),
            ]
        ),
        max_size=8,
    )
)
def test_pieces_of_streams_read_alike_however_they_are_cut(pieces: list[bytes]):
    read(STREAM, b"".join(pieces))
