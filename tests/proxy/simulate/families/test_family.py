"""The few things that all families do alike."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.simulate.director import direct
from proxy.simulate.families.anthropic_messages import AnthropicMessages
from proxy.simulate.families.family import (
    MAX_PIECES,
    dump,
    missing,
    named,
    pieces,
    text_of,
    unnamed,
    whole_number,
    words,
)
from proxy.simulate.families.gemini import Gemini
from proxy.simulate.families.openai_chat import OpenAIChat
from proxy.simulate.families.openai_responses import OpenAIResponses
from proxy.simulate.question import UnacceptableError
from proxy.simulate.tokens import count, prompt_tokens, segments


@given(st.text(max_size=200))
def test_pieces_add_up(text):
    found = [*pieces(text)]
    assert "".join(piece for piece, _ in found) == text
    assert sum(tokens for _, tokens in found) == count(text)


def test_a_long_text_comes_in_few_pieces():
    assert len([*pieces("x" * 1_000_000)]) <= MAX_PIECES


def test_text_is_found_in_parts_of_all_kinds():
    parts = [
        "a",
        {"type": "text", "text": "b"},
        {"refusal": "c"},
        {"image_url": {}},
        7,
        {},
    ]
    assert text_of(parts) == "a\nb\nc\n[media]"
    assert text_of(None) == ""


def test_json_and_events():
    assert dump({"a": "é\ud800"}) == '{"a":"é?"}'.encode()
    assert unnamed(1, b"\r\n\r\n") == b"data: 1\r\n\r\n"
    assert named({"type": "x"}) == b'event: x\ndata: {"type":"x"}\n\n'


def test_members_are_taken_as_they_come():
    assert [whole_number(each) for each in (3, 0, True, "3", None)] == [
        3,
        None,
        None,
        None,
        None,
    ]
    assert (words("a"), words(["a", 1]), words(None)) == (("a",), ("a",), ())
    assert missing(["a", "b"], ["b"]) == ["a"]


_KEYS = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "parts",
        "input",
        "output",
        "name",
        "arguments",
        "args",
        "tool_calls",
        "function",
        "functionCall",
        "functionResponse",
        "response",
        "id",
        "call_id",
        "tool_use_id",
        "tool_call_id",
        "cache_control",
        "ttl",
        "thinking",
        "summary",
        "model",
        "messages",
        "contents",
        "tools",
    ]
)
_WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "tool",
        "system",
        "model",
        "text",
        "message",
        "tool_use",
        "tool_result",
        "function_call",
        "function_call_output",
        "reasoning",
        "x",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5)
    ),
    max_leaves=15,
)
_MESSAGES = st.lists(st.dictionaries(_KEYS, _JSON, min_size=1, max_size=5), max_size=3)


@given(_MESSAGES, _JSON, st.dictionaries(_KEYS, _JSON, max_size=3))
def test_no_request_breaks_a_family(messages, tools, more):
    given_to = {"model": "m", "max_tokens": 5, "tools": tools, "messages": messages}
    body = {**more, **given_to, "contents": messages, "input": messages}
    body |= {
        "system": more,
        "generationConfig": more,
        "text": more,
        "tool_choice": more,
    }
    for family in (OpenAIChat(), OpenAIResponses(), AnthropicMessages(), Gemini()):
        try:
            question = family.read(body)
        except UnacceptableError:
            continue
        assert prompt_tokens([*segments(question)]) >= 0
        assert direct(question).answer.text is not None
