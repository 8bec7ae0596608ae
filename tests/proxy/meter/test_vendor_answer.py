"""The bodies of vendors who have no dialect of their own."""

import json
from typing import Any

import pytest

from proxy.meter.draft import Draft
from proxy.meter.vendor_answer import VendorAnswer
from proxy.model import ToolCall, Usage


def read(*pieces: dict[str, Any]) -> VendorAnswer:
    answer = VendorAnswer(Draft(200))
    for piece in pieces:
        answer.piece(json.dumps(piece).encode())
    return answer


OPENAI = {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}


@pytest.mark.parametrize(
    ("pieces", "text", "reason", "usage"),
    [
        (
            [
                {
                    "inputTextTokenCount": 28.0,
                    "results": [
                        {
                            "tokenCount": 190,
                            "outputText": "ab",
                            "completionReason": "FINISH",
                        },
                        {"tokenCount": 7.0, "outputText": "c"},
                    ],
                }
            ],
            "abc",
            "FINISH",
            Usage(input=28, output=197),
        ),
        (
            [
                {"outputText": "ab", "index": 0, "inputTextTokenCount": 5},
                {
                    "outputText": "c",
                    "totalOutputTextTokenCount": 10,
                    "completionReason": "LENGTH",
                },
            ],
            "abc",
            "LENGTH",
            Usage(input=5, output=10),
        ),
        (
            [
                {
                    "generation": "a",
                    "prompt_token_count": 9,
                    "generation_token_count": 1,
                },
                {
                    "generation": "bc",
                    "prompt_token_count": None,
                    "generation_token_count": 2,
                    "stop_reason": "stop",
                },
            ],
            "abc",
            "stop",
            Usage(input=9, output=2),
        ),
        (
            [{"outputs": [{"text": "abc", "stop_reason": "length"}]}],
            "abc",
            "length",
            None,
        ),
        (
            [{"completion": "abc", "stop_reason": "stop_sequence", "stop": "x"}],
            "abc",
            "stop_sequence",
            None,
        ),
        (
            [{"generations": [{"text": "abc", "finish_reason": "COMPLETE"}]}],
            "abc",
            "COMPLETE",
            None,
        ),
        (
            [
                {
                    "text": "abc",
                    "finish_reason": "COMPLETE",
                    "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 2}},
                }
            ],
            "abc",
            "COMPLETE",
            Usage(input=3, output=2),
        ),
        (
            [
                {
                    "completions": [
                        {
                            "data": {"text": "abc", "tokens": [{}]},
                            "finishReason": {"reason": "endoftext"},
                        }
                    ]
                }
            ],
            "abc",
            "endoftext",
            None,
        ),
        (
            [
                {
                    "choices": [{"text": "abc", "finish_reason": "length"}],
                    "usage": OPENAI,
                }
            ],
            "abc",
            "length",
            Usage(input=6, output=4),
        ),
        (
            [
                {"choices": [{"delta": {"content": "ab"}}]},
                {"choices": [{"delta": {"content": "c"}, "stop_reason": "stop"}]},
                {"choices": [], "usage": OPENAI},
            ],
            "abc",
            "stop",
            Usage(input=6, output=4),
        ),
        ([{"usage": {"inputTokens": 3}}], "", "", Usage(input=3)),
        ([{"usage": {"tokenCount": [], "prompt_token_count": "x"}}], "", "", None),
        (
            [{"generation": 3, "results": "x", "usage": [], "choices": [3]}],
            "",
            "",
            None,
        ),
    ],
)
def test_vendors(
    pieces: list[dict[str, Any]], text: str, reason: str, usage: Usage | None
):
    answer = read(*pieces)
    draft = answer.draft
    assert (draft.output.chars(), draft.finish_reason) == (len(text), reason)
    assert answer.usage == usage
    assert draft.output_started is bool(text)


def test_only_openais_shape_includes_the_cache():
    assert read({"usage": OPENAI}).inclusive
    assert not read({"usage": {"input_tokens": 3}}).inclusive


def test_what_was_cached_is_taken_out_of_openais_input():
    usage = {**OPENAI, "prompt_tokens_details": {"cached_tokens": 2}}
    assert read({"usage": usage}).usage == Usage(input=4, cache_read=2, output=4)


def test_tool_calls_of_a_chat_are_read_whole_and_in_pieces():
    call = {"id": "c1", "function": {"name": "look", "arguments": '{"a":1}'}}
    whole = read({"choices": [{"message": {"tool_calls": [call, call]}}]})
    parts = read(
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "tool_calls": [
                            {
                                "index": 0,
                                "id": "c1",
                                "function": {"name": "look", "arguments": '{"a"'},
                            }
                        ]
                    },
                }
            ]
        },
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]
                    },
                }
            ]
        },
    )
    wanted = ToolCall("c1", "look", b'{"a":1}')
    assert whole.draft.reading(expects_terminal=False).tool_calls == (wanted, wanted)
    assert parts.draft.reading(expects_terminal=False).tool_calls == (wanted,)
    assert parts.draft.output_started


def test_coheres_tool_calls_have_no_id_and_whole_arguments():
    draft = read({"tool_calls": [{"name": "look", "parameters": {"a": 1}}]}).draft
    (call,) = draft.reading(expects_terminal=False).tool_calls
    assert call == ToolCall("", "look", b'{"a":1}')


def test_reasoning_is_told_apart():
    message = {"content": "a", "reasoning_content": "Hm."}
    draft = read({"choices": [{"message": message}]}).draft
    assert (draft.output.chars(), draft.reasoning.chars()) == (1, 3)
