"""OpenAI's SDK takes responses without complaint, and the proxy reads them."""

import json
from typing import Any

import openai
import pytest

from tests.helpers.meter import RESPONSES, read
from tests.helpers.simulated import LOOK_UP, asking, call, openai_client

PLAN = '<<plan: think 7 & say Let me look. & call search {"q": "tea"} & call search {"q": "é"} | say It is $last. >>'
TOOLS = [{"type": "function", "name": "search", "parameters": LOOK_UP, "strict": False}]
SUMMARY = {"summary": "auto"}


@pytest.fixture(scope="module")
def client(provider):
    with openai_client(provider.url) as client:
        yield client


def asked(content=PLAN, **more) -> Any:
    return {"model": "gpt-5", "input": content, "tools": TOOLS, **more}


def results(response):
    return [
        {"type": "function_call_output", "call_id": item.call_id, "output": "42"}
        for item in response.output
        if item.type == "function_call"
    ]


def test_a_loop_of_tools_runs_to_its_end_with_all_items(client):
    first = client.responses.create(**asked(reasoning=SUMMARY, store=False))
    kinds = [item.type for item in first.output]
    assert kinds == ["reasoning", "message", "function_call", "function_call"]
    assert first.output_text == "Let me look."
    given = [
        {"role": "user", "content": PLAN},
        *(item.model_dump(exclude_none=True) for item in first.output),
        *results(first),
    ]
    last = client.responses.create(**asked(given))
    assert last.output_text == "It is 42."
    assert last.status == "completed"


def test_a_loop_of_tools_runs_to_its_end_with_what_is_stored(client):
    first = client.responses.create(**asked(include=["reasoning.encrypted_content"]))
    assert first.output[0].encrypted_content
    last = client.responses.create(
        **asked(results(first), previous_response_id=first.id)
    )
    assert last.output_text == "It is 42."
    assert client.responses.retrieve(last.id).output_text == "It is 42."


def test_a_stream_comes_to_the_same(client):
    with client.responses.stream(**asked(reasoning=SUMMARY)) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_response()
    whole = client.responses.create(**asked(reasoning=SUMMARY))
    assert streamed.output_text == whole.output_text
    assert [i.type for i in streamed.output] == [i.type for i in whole.output]
    assert streamed.usage == whole.usage


def test_events_are_numbered(client):
    numbers = [
        e.sequence_number for e in client.responses.create(**asked(), stream=True)
    ]
    assert numbers == [*range(len(numbers))]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_proxy_reads_the_same_tokens(provider, stream):
    body = asking("openai_responses", PLAN, stream=stream)
    answer = call(provider.url, RESPONSES, body)
    reading: Any = read(
        RESPONSES,
        answer.body,
        request=json.dumps(body).encode(),
        content_type=answer.headers["content-type"],
    )
    assert reading.usage.reasoning == 7
    assert [c.name for c in reading.tool_calls] == ["search", "search"]
    assert reading.response_id.startswith("resp_")
    said = call(provider.url, RESPONSES, asking("openai_responses", PLAN)).json()[
        "usage"
    ]
    usage = reading.usage
    assert usage.input == said["input_tokens"] > 0
    assert usage.output + usage.reasoning == said["output_tokens"]


def test_a_long_prompt_is_read_from_the_cache(client):
    text = "Something long that never changes. " * 200
    first = client.responses.create(**asked("One", instructions=text)).usage
    second = client.responses.create(**asked("Two", instructions=text)).usage
    assert first.input_tokens_details.cached_tokens == 0
    assert second.input_tokens_details.cached_tokens >= 1024
    assert second.input_tokens_details.cached_tokens % 128 == 0


def test_a_schema_is_met(client):
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
    }
    wanted = {"format": {"type": "json_schema", "name": "a", "schema": schema}}
    said = client.responses.create(**asked("<<plan: say Tea.>>", text=wanted))
    assert json.loads(said.output_text) == {"answer": "Tea."}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "search"}])
def test_a_demanded_tool_is_called(client, choice):
    said = client.responses.create(**asked("<<plan: say Tea.>>", tool_choice=choice))
    assert json.loads(said.output[0].arguments) == {"q": "Tea."}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_answer_ends_at_the_limit(client, stream):
    said = client.responses.create(
        **asked("<<plan: pad 99>>", max_output_tokens=16), stream=stream
    )
    last = [*said][-1].response if stream else said
    assert last.status == "incomplete"
    assert last.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            [{"type": "function_call", "call_id": "c1", "name": "a", "arguments": ""}],
            "No tool output found",
        ),
        (
            [{"type": "function_call_output", "call_id": "c1", "output": ""}],
            "No tool call found",
        ),
        ([{"role": "robot", "content": ""}], "Invalid value"),
        ("<<plan: dance>>", "cannot be read"),
    ],
)
def test_what_openai_refuses_is_refused(client, given, problem):
    with pytest.raises(openai.BadRequestError, match=problem):
        client.responses.create(model="m", input=given)


def test_an_error_in_a_stream_is_an_event(client):
    events = client.responses.create(
        **asked("<<plan: error in stream & pad 9>>"), stream=True
    )
    last = [*events][-1]
    assert (last.type, last.code) == ("error", "server_error")
