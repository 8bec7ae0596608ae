"""Anthropic's SDK takes the answers without complaint, and the proxy reads them."""

import json
from typing import Any

import anthropic
import pytest

from tests.helpers.meter import MESSAGES, read
from tests.helpers.simulated import LOOK_UP, anthropic_client, asking, call

PLAN = '<<plan: think 9 & say Let me look. & call search {"q": "tea"} & call search {"q": "é"} | say It is $last. >>'
TOOLS = [{"name": "search", "input_schema": LOOK_UP}]
THINKING = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture(scope="module")
def client(provider):
    with anthropic_client(provider.url) as client:
        yield client


def asked(content=PLAN, **more) -> Any:
    messages = [{"role": "user", "content": content}]
    usual: dict[str, Any] = {
        "model": "claude-sonnet-5",
        "max_tokens": 4000,
        "tools": TOOLS,
    }
    return {**usual, "messages": messages, **more}


def test_a_loop_of_tools_runs_to_its_end(client):
    messages: list[Any] = [{"role": "user", "content": PLAN}]
    first = client.messages.create(**asked(messages=messages, thinking=THINKING))
    kinds = [block.type for block in first.content]
    assert kinds == ["thinking", "text", "tool_use", "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [b.input for b in first.content[2:]] == [{"q": "tea"}, {"q": "é"}]
    assert all(b.id.startswith("toolu_01") for b in first.content[2:])
    results = [
        {"type": "tool_result", "tool_use_id": b.id, "content": "42"}
        for b in first.content[2:]
    ]
    reminder = {"type": "text", "text": "<system-reminder>go on</system-reminder>"}
    messages.append({"role": "assistant", "content": first.content})
    messages.append({"role": "user", "content": [*results, reminder]})
    last = client.messages.create(**asked(messages=messages))
    assert last.content[0].text == "It is 42\n42."
    assert (last.stop_reason, last.stop_sequence) == ("end_turn", None)


def test_a_stream_comes_to_the_same(client):
    with client.messages.stream(**asked(thinking=THINKING)) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_message()
    whole = client.messages.create(**asked(thinking=THINKING))
    for one, other in zip(streamed.content, whole.content, strict=True):
        assert one.type == other.type
        assert getattr(one, "text", "") == getattr(other, "text", "")
        assert getattr(one, "input", "") == getattr(other, "input", "")
        assert getattr(one, "thinking", "") == getattr(other, "thinking", "")
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_proxy_reads_the_same_tokens(provider, stream):
    body = asking("anthropic_messages", PLAN, stream=stream, thinking=THINKING)
    answer = call(provider.url, MESSAGES, body)
    reading: Any = read(
        MESSAGES,
        answer.body,
        request=json.dumps(body).encode(),
        content_type=answer.headers["content-type"],
    )
    assert reading.usage.reasoning == 9
    assert [c.name for c in reading.tool_calls] == ["search", "search"]
    assert reading.finish_reason == "tool_use"
    assert "request-id" in answer.headers
    assert (b"event: ping" in answer.body) == stream
    said = call(
        provider.url, MESSAGES, asking("anthropic_messages", PLAN, thinking=THINKING)
    ).json()["usage"]
    usage = reading.usage
    assert usage.input == said["input_tokens"] > 0
    assert usage.output + usage.reasoning == said["output_tokens"]


@pytest.mark.parametrize("ttl", [{}, {"ttl": "1h"}], ids=["5m", "1h"])
def test_what_is_marked_is_written_to_the_cache_and_read_from_it(client, ttl):
    text = f"Long instructions {ttl}. " * 300
    block: Any = {
        "type": "text",
        "text": text,
        "cache_control": {"type": "ephemeral", **ttl},
    }
    first = client.messages.create(**asked("One", system=[block])).usage
    second = client.messages.create(**asked("Two", system=[block])).usage
    written = first.cache_creation_input_tokens
    assert written > 1024
    split = first.cache_creation
    assert written == (
        split.ephemeral_1h_input_tokens if ttl else split.ephemeral_5m_input_tokens
    )
    assert (first.cache_read_input_tokens, second.cache_read_input_tokens) == (
        0,
        written,
    )
    assert second.cache_creation_input_tokens == 0


def test_tokens_are_counted_as_they_are_billed(client):
    request = asked("What is tea?")
    said = client.messages.create(**request).usage.input_tokens
    request.pop("max_tokens")
    assert client.messages.count_tokens(**request).input_tokens == said


def test_a_schema_is_met(client):
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
    }
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    said = client.messages.create(
        **asked("<<plan: say Tea.>>", extra_body={"output_config": wanted})
    )
    assert json.loads(said.content[0].text) == {"answer": "Tea."}


@pytest.mark.parametrize("kind", [{"type": "any"}, {"type": "tool", "name": "search"}])
def test_a_demanded_tool_is_called(client, kind):
    said = client.messages.create(**asked("<<plan: say Tea.>>", tool_choice=kind))
    [block] = said.content
    assert block.input == {"q": "Tea."}


def test_an_answer_ends_at_the_limit_and_at_stop_sequences(client):
    said = client.messages.create(**asked("<<plan: pad 50>>", max_tokens=10))
    assert (said.stop_reason, said.usage.output_tokens) == ("max_tokens", 10)
    said = client.messages.create(
        **asked("<<plan: say one two>>", stop_sequences=["two"])
    )
    assert (said.stop_reason, said.stop_sequence) == ("stop_sequence", "two")


def test_broken_arguments_are_an_object_here(client):
    said = client.messages.create(**asked('<<plan: call search raw "{b">>'))
    assert said.content[0].input == {"raw": "{b"}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        ("400", anthropic.BadRequestError, "invalid_request_error"),
        ("401", anthropic.AuthenticationError, "authentication_error"),
        ("429 retry-after 2", anthropic.RateLimitError, "rate_limit_error"),
        ("500", anthropic.InternalServerError, "api_error"),
        ("529", anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_errors_have_anthropics_shape(client, status, error, kind):
    with pytest.raises(error) as raised:
        client.messages.create(**asked(f"<<plan: fail {status} always>>"))
    assert raised.value.body["error"]["type"] == kind
    assert raised.value.body["request_id"] == raised.value.request_id


def test_an_error_in_a_stream_is_raised(client):
    with (
        client.messages.create(
            **asked("<<plan: error in stream after 2 & pad 9>>"), stream=True
        ) as events,
        pytest.raises(anthropic.APIStatusError),
    ):
        assert len([*events]) == 0
