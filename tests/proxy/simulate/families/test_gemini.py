"""Google's SDK takes the answers without complaint."""

import json

import pytest
from google import genai
from google.genai import types

from tests.helpers.simulated import LOOK_UP, asking, call, path_of

PLAN = '<<plan: think 7 & say Let me look. & call search {"q": "tea"} & call search {"q": "é"} | say It is $last. >>'
MODEL = "gemini-2.5-flash"


@pytest.fixture(scope="module")
def client(provider):
    options = types.HttpOptions(base_url=provider.url)
    client = genai.Client(api_key="key", http_options=options)
    yield client
    client.close()


def settings(**more):
    declared = types.FunctionDeclaration(name="search", parameters_json_schema=LOOK_UP)
    off = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=off,
        **more,
    )


def test_a_loop_of_tools_runs_to_its_end(client):
    contents = [types.Content(role="user", parts=[types.Part(text=PLAN)])]
    first = client.models.generate_content(
        model=MODEL, contents=contents, config=settings()
    )
    assert first.text == "Let me look."
    assert [c.args for c in first.function_calls] == [{"q": "tea"}, {"q": "é"}]
    assert [c.id for c in first.function_calls] == [None, None]
    parts = first.candidates[0].content.parts
    assert [p.thought_signature is not None for p in parts] == [False, True, False]
    contents.append(first.candidates[0].content)
    answers = [
        types.Part.from_function_response(name="search", response={"result": "42"})
        for _ in first.function_calls
    ]
    contents.append(types.Content(role="user", parts=answers))
    last = client.models.generate_content(
        model=MODEL, contents=contents, config=settings()
    )
    assert last.text == "It is 42\n42."
    assert last.candidates[0].finish_reason == "STOP"


def test_tools_that_the_sdk_calls_itself_are_called(client):
    def search(q: str) -> str:
        """Search."""
        return f"found {q}"

    config = types.GenerateContentConfig(tools=[search])
    said = client.models.generate_content(
        model=MODEL,
        contents='<<plan: loop 2 call search {"q": "tea"} | say $last>>',
        config=config,
    )
    assert said.text == "found tea"


def test_a_stream_comes_to_the_same(client):
    thinking = types.ThinkingConfig(include_thoughts=True)
    config = settings(thinking_config=thinking)
    chunks = [
        *client.models.generate_content_stream(
            model=MODEL, contents=PLAN, config=config
        )
    ]
    whole = client.models.generate_content(model=MODEL, contents=PLAN, config=config)
    parts = [p for c in chunks for p in c.candidates[0].content.parts]
    assert "".join(p.text or "" for p in parts if not p.thought) == whole.text
    assert [p.function_call.args for p in parts if p.function_call] == [
        c.args for c in whole.function_calls
    ]
    assert chunks[-1].usage_metadata == whole.usage_metadata
    used = whole.usage_metadata
    total = (
        used.prompt_token_count
        + used.candidates_token_count
        + used.thoughts_token_count
    )
    assert (used.thoughts_token_count, used.total_token_count) == (7, total)


def test_streams_are_framed_as_google_frames_them(provider):
    body = asking("gemini", "<<plan: say Hello there.>>")
    raw = call(provider.url, path_of("gemini", stream=True), body).body
    assert all(each.startswith(b"data: {") for each in raw.strip().split(b"\r\n\r\n"))
    path = path_of("gemini", stream=True).removesuffix("?alt=sse")
    whole = json.loads(call(provider.url, path, body).body)
    texts = [each["candidates"][0]["content"]["parts"][0]["text"] for each in whole]
    assert "".join(texts) == "Hello there."


def test_a_schema_is_met(client):
    schema = {
        "type": "OBJECT",
        "properties": {"answer": {"type": "STRING"}},
        "required": ["answer"],
    }
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=schema
    )
    said = client.models.generate_content(
        model=MODEL, contents="<<plan: say Tea.>>", config=config
    )
    assert said.parsed == {"answer": "Tea."}


@pytest.mark.parametrize(
    ("mode", "names"), [("ANY", None), ("ANY", ["search"]), ("NONE", None)]
)
def test_a_demanded_tool_is_called(client, mode, names):
    calling = types.FunctionCallingConfig(mode=mode, allowed_function_names=names)
    config = settings(tool_config=types.ToolConfig(function_calling_config=calling))
    said = client.models.generate_content(
        model=MODEL, contents="<<plan: say Tea.>>", config=config
    )
    calls = [c.args for c in said.function_calls or []]
    assert calls == ([] if mode == "NONE" else [{"q": "Tea."}])


def test_an_answer_ends_at_the_limit(client):
    config = settings(max_output_tokens=5)
    said = client.models.generate_content(
        model=MODEL, contents="<<plan: pad 50>>", config=config
    )
    assert said.candidates[0].finish_reason == "MAX_TOKENS"


@pytest.mark.parametrize(
    ("status", "name"),
    [("429", "RESOURCE_EXHAUSTED"), ("500", "INTERNAL"), ("400", "INVALID_ARGUMENT")],
)
def test_errors_have_googles_shape(client, status, name):
    with pytest.raises(genai.errors.APIError) as error:
        client.models.generate_content(
            model=MODEL, contents=f"<<plan: fail {status} always>>"
        )
    assert (error.value.code, error.value.status) == (int(status), name)


def test_an_error_in_a_stream_is_raised(client):
    with pytest.raises(genai.errors.APIError):
        assert [
            *client.models.generate_content_stream(
                model=MODEL, contents="<<plan: error in stream & pad 9>>"
            )
        ] == []


def test_models_tokens_and_embeddings(client):
    assert "models/gemini-2.5-flash" in [m.name for m in client.models.list()]
    assert client.models.get(model=MODEL).name == "models/gemini-2.5-flash"
    assert (
        client.models.count_tokens(model=MODEL, contents="some words").total_tokens > 3
    )
    found = client.models.embed_content(
        model="gemini-embedding-001", contents=["a", "b"]
    )
    assert [len(e.values) for e in found.embeddings] == [3072, 3072]
    body = {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8}
    assert found.embeddings[0].values != found.embeddings[1].values
    assert body
