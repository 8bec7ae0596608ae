"""OpenAI's SDK takes the answers without complaint, and the proxy reads them."""

import json
from typing import Any

import openai
import pytest

from tests.helpers.meter import CHAT, EVENTS, read
from tests.helpers.simulated import LOOK_UP, asking, call, openai_client

PLAN = '<<plan: think 7 & say Let me look. & call search {"q": "tea"} & call search {"q": "tea é"} | say It is $last. >>'
TOOLS = [{"type": "function", "function": {"name": "search", "parameters": LOOK_UP}}]


@pytest.fixture(scope="module")
def client(provider):
    with openai_client(provider.url) as client:
        yield client


def asked(content=PLAN, **more) -> Any:
    messages = [{"role": "user", "content": content}]
    return {"model": "gpt-4o", "messages": messages, "tools": TOOLS, **more}


def test_a_loop_of_tools_runs_to_its_end(client):
    messages = [{"role": "user", "content": PLAN}]
    first = client.chat.completions.create(
        model="gpt-4o", messages=messages, tools=TOOLS
    )
    message = first.choices[0].message
    assert message.content == "Let me look."
    assert first.choices[0].finish_reason == "tool_calls"
    assert [json.loads(c.function.arguments) for c in message.tool_calls] == [
        {"q": "tea"},
        {"q": "tea é"},
    ]
    ids = [c.id for c in message.tool_calls]
    assert len(set(ids)) == 2
    assert all(each.startswith("call_") for each in ids)
    messages.append(message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": i, "content": "42"} for i in ids]
    last = client.chat.completions.create(
        model="gpt-4o", messages=messages, tools=TOOLS
    )
    assert last.choices[0].message.content == "It is 42."
    assert last.choices[0].finish_reason == "stop"
    messages += [
        {"role": "assistant", "content": "It is 42."},
        messages[0] | {"content": "More?"},
    ]
    over = client.chat.completions.create(model="gpt-4o", messages=messages)
    assert "nothing left" in over.choices[0].message.content


def test_a_stream_comes_to_the_same(client):
    with client.chat.completions.stream(**asked()) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion().choices[0]
    whole = client.chat.completions.create(**asked()).choices[0]
    assert streamed.message.content == whole.message.content
    assert streamed.finish_reason == whole.finish_reason
    functions = [
        [(c.function.name, c.function.arguments) for c in each.message.tool_calls]
        for each in (streamed, whole)
    ]
    assert functions[0] == functions[1]


def test_usage_is_streamed_only_to_those_who_ask(client):
    chunks = [
        *client.chat.completions.create(**asked("<<plan: say Hi.>>"), stream=True)
    ]
    assert all("usage" not in c.model_dump(exclude_unset=True) for c in chunks)
    wanted = {"include_usage": True}
    chunks = [
        *client.chat.completions.create(
            **asked("<<plan: say Hi.>>"), stream=True, stream_options=wanted
        )
    ]
    assert all(c.usage is None and "usage" in c.model_fields_set for c in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 1
    assert len({c.id for c in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_proxy_reads_the_same_tokens(provider, stream):
    more: Any = {"stream_options": {"include_usage": True}} if stream else {}
    body = asking("openai_chat", PLAN, stream=stream, **more)
    answer = call(provider.url, CHAT, body)
    reading: Any = read(
        CHAT,
        answer.body,
        request=json.dumps(body).encode(),
        content_type=answer.headers["content-type"],
    )
    assert reading.usage.reasoning == 7
    assert reading.usage.output > 0
    assert [c.name for c in reading.tool_calls] == ["search", "search"]
    assert reading.finish_reason == "tool_calls"
    assert EVENTS in answer.headers["content-type"] or not stream
    said = call(provider.url, CHAT, asking("openai_chat", PLAN)).json()["usage"]
    usage = reading.usage
    assert usage.input == said["prompt_tokens"] > 0
    assert usage.output + usage.reasoning == said["completion_tokens"]


def test_a_schema_is_met(client):
    schema = {
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "score": {"type": "integer", "minimum": 9},
        },
        "required": ["answer", "score"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    for plan in (
        "<<plan: say Tea.>>",
        '<<plan: json {"answer": "Tea.", "score": 10}>>',
    ):
        said = client.chat.completions.create(**asked(plan, response_format=wanted))
        found = json.loads(said.choices[0].message.content)
        assert found == {"answer": "Tea.", "score": 10}


def test_a_demanded_tool_is_called_and_a_forbidden_one_is_not(client):
    chosen = {"type": "function", "function": {"name": "search"}}
    for choice in ("required", chosen):
        said = client.chat.completions.create(
            **asked("<<plan: say Tea.>>", tool_choice=choice)
        )
        [made] = said.choices[0].message.tool_calls
        assert json.loads(made.function.arguments) == {"q": "Tea."}
    said = client.chat.completions.create(
        **asked("<<plan: say A. & call search>>", tool_choice="none")
    )
    assert said.choices[0].message.tool_calls is None


def test_one_call_at_a_time_where_asked(client):
    said = client.chat.completions.create(**asked(parallel_tool_calls=False))
    assert len(said.choices[0].message.tool_calls) == 1


def test_an_answer_ends_at_the_limit_and_at_stop_sequences(client):
    said = client.chat.completions.create(**asked("<<plan: pad 50>>", max_tokens=10))
    assert said.choices[0].finish_reason == "length"
    assert said.usage.completion_tokens == 10
    said = client.chat.completions.create(
        **asked("<<plan: say one two>>", stop=["two"])
    )
    assert said.choices[0].message.content == "one "
    assert said.choices[0].finish_reason == "stop"


def test_a_hallucinated_tool_and_broken_arguments_are_called_as_planned(client):
    said = client.chat.completions.create(
        **asked('<<plan: call! ghost raw "{broken">>')
    )
    [made] = said.choices[0].message.tool_calls
    assert (made.function.name, made.function.arguments) == ("ghost", "{broken")


def test_without_a_plan_each_tool_is_called_once(client):
    messages = [{"role": "user", "content": "Tea?"}]
    first = client.chat.completions.create(model="m", messages=messages, tools=TOOLS)
    [made] = first.choices[0].message.tool_calls
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": made.id, "content": "Assam"})
    last = client.chat.completions.create(model="m", messages=messages, tools=TOOLS)
    assert "Tea?" in last.choices[0].message.content


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([{"role": "user", "content": "<<plan: dance>>"}], "cannot be read"),
        ([{"role": "tool", "tool_call_id": "c", "content": ""}], "must be a response"),
        ([{"role": "robot", "content": ""}], "Invalid value: 'robot'"),
        (
            [{"role": "assistant", "tool_calls": [{"id": "c9", "function": {}}]}],
            "did not have response messages: c9",
        ),
    ],
)
def test_what_openai_refuses_is_refused(client, messages, problem):
    error: Any
    with pytest.raises(openai.BadRequestError, match=problem) as error:
        client.chat.completions.create(model="m", messages=messages)
    assert error.value.type == "invalid_request_error"
    assert error.value.request_id.startswith("req_")


def test_older_requests_are_understood(provider):
    function = {"name": "search", "parameters": LOOK_UP}
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<<plan: say $last>>"},
                {"type": "image_url"},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "search", "arguments": "{}"},
        },
        {"role": "function", "name": "search", "content": "x"},
    ]
    body = {"model": "m", "messages": messages, "functions": [function]}
    assert (
        "nothing left"
        in call(provider.url, CHAT, body).json()["choices"][0]["message"]["content"]
    )
