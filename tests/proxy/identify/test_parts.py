"""What a message consists of, as others than identification need it."""

from typing import Any

import pytest

from proxy.identify.messages import parts_of, result_text

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b": 1, "a": 2}'}}  # fmt: skip
MESSAGES: dict[str, tuple[Any, list[Any], list[Any], list[str]]] = {
    "a call": ({"role": "assistant", "content": None, "tool_calls": [CALL]}, [("c1", "f", b'{"a":2,"b":1}')], [], []),
    "a result": ({"role": "tool", "tool_call_id": "c1", "content": "ok"}, [], [("c1", "", "ok")], []),
    "one that failed": (
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "is_error": True, "content": "no"}]},
        [], [("c1", "", "no")], ["c1"],
    ),
    "Converse's": (
        {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "status": "error", "content": []}}]},
        [], [("c1", "", [])], ["c1"],
    ),
    "text": ("hi", [], [], []),
    "nothing": (7, [], [], []),
}  # fmt: skip


@pytest.mark.parametrize(("message", "calls", "results", "failed"), MESSAGES.values(), ids=MESSAGES)  # fmt: skip
def test_calls_and_results_are_found(message, calls, results, failed):
    parts = parts_of(message)
    assert (parts.calls, parts.results, parts.failed) == (calls, results, failed)


def test_a_result_s_text_is_what_it_says():
    assert result_text(" ok ") == b"ok"
    assert result_text([{"type": "text", "text": "a"}, {"text": "b"}]) == b"a\nb"
    assert result_text({"b": 1, "a": 2}) == b'{"a":2,"b":1}'
