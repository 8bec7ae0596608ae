import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.conversation import Conversation, Conversations, written
from proxy.identify.request import Request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
MEMBERS = [*Request.__struct_fields__]


def read(body: Any) -> Conversation:
    found = Conversations(3).read(json.dumps(body).encode())
    assert found is not None
    return found


def roles(body: Any) -> list[str]:
    return [item.role for item in read(body).items]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]},
        {"instructions": "S", "input": [{"role": "user", "content": "a"}, {"type": "reasoning"}, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]}, {"role": "user", "content": "c"}]},
        {"systemInstruction": {"parts": [{"text": "S"}]}, "contents": [{"parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}, {"role": "user", "parts": [{"text": "c"}]}]},
        {"preamble": "S", "message": "c", "chat_history": [{"role": "USER", "message": "a"}, {"role": "CHATBOT", "message": "b"}]},
        {"system": [{"text": "S"}], "messages": [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [{"text": "b"}]}, {"role": "user", "content": [{"text": "c"}]}]},
    ],
    ids=["chat", "responses", "gemini", "cohere", "converse"],
)  # fmt: skip
def test_one_conversation_is_read_alike_in_all_families(body):
    found = read(body)
    assert found.system == "S"
    assert [item.role for item in found.items] == ["user", "assistant", "user"]
    chat = read({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]})  # fmt: skip
    assert [item.full for item in found.items] == [item.full for item in chat.items]
    assert found.has_history
    assert found.text == ""


def test_answers_that_follow_one_another_are_one():
    assert roles({"input": [{"role": "assistant", "content": "a"}, {"type": "function_call", "name": "f"}, "b"]}) == ["assistant", "user"]  # fmt: skip


def test_an_answer_to_be_continued_is_not_what_is_asked():
    prefilled = read({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]})  # fmt: skip
    assert (prefilled.asked, prefilled.has_history) == (1, False)
    assert Conversation().asked == 0


def test_plain_prompts_are_what_a_user_said():
    assert roles({"prompt": "Hi"}) == roles({"inputText": "Hi"}) == roles({"input": "Hi"}) == ["user"]  # fmt: skip
    assert read({"prompt": "Hi"}).text == "Hi"


def test_tools_are_named_in_all_families():
    tools = [{"function": {"name": "a"}}, {"name": "b"}, {"functionDeclarations": [{"name": "c"}, {}]}, 3, {"type": "x"}]  # fmt: skip
    config = {"tools": [{"toolSpec": {"name": "d"}}]}
    found = read({"tools": tools, "functions": [{"name": "e"}], "toolConfig": config})
    assert found.tools == ("a", "b", "c", "e", "d")
    assert read({"toolConfig": 3, "tools": None}).tools == ()


def test_ids_and_metadata_are_read():
    found = read({"previous_response_id": "r", "conversation": {"id": "c"}, "metadata": {"a": "b", "n": 1},
                  "session_id": "s", "prompt_cache_key": 5})  # fmt: skip
    assert (found.previous_response_id, found.conversation_id) == ("r", "c")
    assert found.metadata == (("a", "b"), ("session_id", "s"))
    other = read({"previous_interaction_id": "i", "conversation": "d"})
    assert (other.previous_response_id, other.conversation_id) == ("i", "d")


def test_what_is_no_json_object_is_no_conversation():
    assert Conversations(3).read(b"{") is None
    assert Conversations(3).read(b"[]") is None
    assert written(b"{") == ""


def test_written_is_what_others_than_the_model_wrote():
    body = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "tool", "content": "c"}]}  # fmt: skip
    assert written(json.dumps(body).encode()) == "a\nc"
    assert written(b" " * 70_000) == ""


def test_known_messages_are_bounded():
    reader = Conversations(3, capacity=2)
    for text in "abc":
        reader.read(json.dumps({"prompt": text}).encode())
    assert len(reader._known) == 2


def test_long_system_prompts_do_not_fill_the_memory():
    reader = Conversations(3, capacity_bytes=1 << 20)
    for number in range(40):
        body = {"messages": [{"role": "system", "content": f"{number} " + "x" * 10_000}]}  # fmt: skip
        assert reader.read(json.dumps(body).encode()) is not None
    assert reader._known.weight <= 1 << 20
    assert 0 < len(reader._known) < 40


def test_a_large_body_is_read_in_slices():
    messages = [{"role": "user", "content": "x" * 300_000}] * 20
    reading = Conversations(3).reading(json.dumps({"messages": messages}).encode())
    assert len(list(reading)) >= 4


def test_a_message_of_very_many_values_is_not_looked_into():
    message = {"role": "user", "content": [1, 2, 3] * 200_000}
    (item,) = read({"messages": [message]}).items
    assert item.role == "user"
    assert read({"messages": [message]}).items == (item,)
    assert roles({"messages": [{"role": "user", "content": "x" * 2_000_000}]}) == ["user"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=6))
def test_nothing_that_json_can_say_raises(body):
    read(body)
    written(json.dumps(body).encode())


@given(st.binary(max_size=200))
def test_no_bytes_raise(body):
    Conversations(3).read(body)
    written(body)


@pytest.mark.parametrize("value", [b"1", b"{}", b'"a"'])
def test_of_a_list_of_very_many_values_nothing_is_read(value):
    many = b"[" + (value + b",") * 400_000 + value + b"]"
    body = b'{"messages": %b, "tools": %b, "system": %b, "metadata": %b}' % (many, many, many, many)  # fmt: skip
    assert Conversations(3).read(body) == Conversation()


HOSTILE = st.sampled_from(
    [b"null", b"true", b"-1e999", b"123456789012345678901234567890", b'"\\ud800"', b'"\xff"', b'"caf\xc3\xa9 \\u00e9"', b'"a\\n"',
     b'"user"', b'"assistant"', b'"tool"', b'"system"', b'"tool_use"', b'"function_call"', b'"call_aB3dE5gH7jK9"',
     b"[" * 3000 + b"]" * 3000, b'{"a":' * 3000 + b"1" + b"}" * 3000, b'"' + b"x" * 3000 + b'"', b"nul", b""]
)  # fmt: skip
NAMES = st.sampled_from(
    ["role", "content", "type", "text", "parts", "tool_calls", "function", "functionCall", "id", "name", "arguments", "call_id", "output"]
)  # fmt: skip


def as_object(members: list[tuple[str, bytes]]) -> bytes:
    return b"{%b}" % b",".join(b'"%b": %b' % (name.encode(), value) for name, value in members)  # fmt: skip


def hostile(names: st.SearchStrategy[str], inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:  # fmt: skip
    return st.lists(st.tuples(names, inner), max_size=4).map(as_object)


VALUES = st.recursive(
    HOSTILE,
    lambda inner: hostile(NAMES, inner) | st.lists(inner, max_size=4).map(lambda each: b"[%b]" % b", ".join(each)),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(hostile(st.sampled_from(MEMBERS), VALUES), min_size=1, max_size=4))
def test_what_was_read_before_changes_nothing(bodies):
    """Members that stand twice, nesting without end, broken text: a reader that knows all of it reads what a new one reads."""
    known = Conversations(3)
    fresh = [Conversations(3).read(body) for body in bodies]
    assert [known.read(body) for body in bodies] == fresh
    assert [known.read(body) for body in bodies] == fresh
    assert [Conversations(3, capacity=1).read(body) for body in bodies] == fresh
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.identify.request.QUICK_BYTES", 0)
        assert [Conversations(3).read(body) for body in bodies] == fresh


@given(st.lists(hostile(st.sampled_from(["role", "content", "type"]), VALUES), max_size=6), st.integers(0, 6))  # fmt: skip
def test_a_conversation_that_goes_on_is_read_as_if_it_were_new(messages, seen):
    """What stood before the first answer may stand behind it in another conversation, and so it is remembered apart."""

    def body(some: list[bytes]) -> bytes:
        return b'{"messages": [%b]}' % b", ".join(some)

    known = Conversations(3)
    for some in (messages[:seen], messages[seen:], messages[::-1]):
        known.read(body(some))
    assert known.read(body(messages)) == Conversations(3).read(body(messages))
