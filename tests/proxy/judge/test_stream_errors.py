"""The last words of a stream that is stopped."""

import json

import pytest

from proxy.judge.shapes import Family, Manner, Told
from proxy.judge.stream_errors import Begun, last_words
from proxy.meter.dialect import Head
from proxy.meter.dialects import DIALECTS
from proxy.meter.tee import Tee
from tests.helpers.eventstream import frame

STORY = "tachograph: run r1 exceeded its step limit (20 of 20)"
TOLD = Told(STORY, "step_limit")
BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
EVENTS = "text/event-stream"
STREAMS = [
    ("openai_chat", Family.OPENAI, "POST", "/v1/chat/completions", EVENTS),
    ("openai_completions", Family.OPENAI, "POST", "/v1/completions", EVENTS),
    ("openai_responses", Family.OPENAI, "POST", "/v1/responses", EVENTS),
    ("anthropic_messages", Family.ANTHROPIC, "POST", "/v1/messages", EVENTS),
    ("gemini_generate", Family.GEMINI, "POST", "/v1beta/models/m:streamGenerateContent", EVENTS),
    ("openai_chat", Family.MISTRAL, "POST", "/v1/chat/completions", EVENTS),
    ("gemini_generate", Family.GEMINI, "POST", "/v1beta/models/m:streamGenerateContent", "application/json; charset=UTF-8"),
    ("cohere_v2", Family.COHERE, "POST", "/v2/chat", EVENTS),
    ("cohere_v1", Family.COHERE, "POST", "/v1/chat", EVENTS),
    ("cohere_v1", Family.COHERE, "POST", "/v1/chat", "application/stream+json"),
    ("ollama", Family.OLLAMA, "POST", "/api/chat", "application/x-ndjson"),
    ("bedrock_converse", Family.BEDROCK, "POST", "/model/m/converse-stream", "application/vnd.amazon.eventstream"),
]  # fmt: skip


BEGUN = {
    ("ollama", "application/x-ndjson"): b'{"model":"m","message":{"role":"assistant","content":"He"},"done":false}\n',
    ("gemini_generate", "application/json; charset=UTF-8"): b'[{"candidates":[{"content":{"parts":[{"text":"He"}]}}]}\n',
}  # fmt: skip
"""Where the words alone would be a whole answer, or no JSON."""


@pytest.mark.parametrize(
    ("name", "family", "method", "path", "content_type"),
    STREAMS,
    ids=[f"{name}-{family}-{kind}" for name, family, _, _, kind in STREAMS],
)
def test_our_own_meter_reads_the_error_as_the_streams_end(
    name, family, method, path, content_type
):
    dialect = BY_NAME[name]
    operation = dialect.operation(method, path)
    assert operation is not None
    ask = dialect.read_request(operation, b'{"model":"m","stream":true}')
    tee = Tee(dialect.reader(ask, Head(200, content_type)), "", 1 << 20)
    words = last_words(Begun(family, name, content_type), TOLD)
    assert words is not None
    tee.feed(BEGUN.get((name, content_type), b"") + words)
    reading = tee.reading()
    assert reading.terminal
    assert reading.error_in_stream
    assert not reading.malformed


def test_a_bedrock_stream_ends_with_an_exception_in_its_framing():
    headers = {
        ":exception-type": "validationException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    payload = json.dumps({"message": STORY}, separators=(",", ":")).encode()
    assert last_words(Begun(Family.BEDROCK, "bedrock_converse"), TOLD) == frame(headers, payload)  # fmt: skip


def test_an_mcp_stream_ends_with_the_answer_that_was_awaited():
    body = b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x"}}'
    words = last_words(Begun(Family.MCP, "mcp", request_body=body), TOLD)
    assert words is not None
    answer = json.loads(words.removeprefix(b"event: message\ndata: "))
    assert (answer["id"], answer["result"]["isError"]) == (5, True)


@pytest.mark.parametrize("family", [Family.ANY, Family.VOYAGE])
def test_who_has_no_error_event_gets_none(family):
    assert last_words(Begun(family, "plain_http"), TOLD) is None


@pytest.mark.parametrize("manner", Manner)
@pytest.mark.parametrize(
    "family", [f for f in Family if f not in (Family.ANY, Family.VOYAGE)]
)
def test_the_whole_story_stands_in_every_event(family, manner):
    told = Told(STORY, "step_limit", manner, 3)
    body = b'{"id":1,"method":"tools/call"}'
    words = last_words(Begun(family, "openai_chat", request_body=body), told)
    assert words is not None
    assert STORY.encode() in words
