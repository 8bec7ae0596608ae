"""The order of a response's events; the SDK's view of them is in test_openai_responses.py."""

import json
from typing import Any

from proxy.simulate.families.openai_responses_events import stream

TEXT = {"type": "output_text", "text": "Hello", "annotations": []}
OUTPUT: list[dict[str, Any]] = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Hm"}],
    },
    {"id": "msg_1", "type": "message", "content": [TEXT]},
    {
        "id": "fc_1",
        "type": "function_call",
        "name": "a",
        "arguments": "{}",
        "call_id": "c",
    },
]


def test_items_are_opened_filled_and_closed():
    events = [*stream({"status": "in_progress"}, OUTPUT, {"status": "completed"})]
    said = [json.loads(event.chunk.partition(b"data: ")[2]) for event in events]
    kinds = [each["type"].removeprefix("response.") for each in said]
    assert kinds[:2] == ["created", "in_progress"]
    assert kinds[-1] == "completed"
    assert kinds.count("output_item.added") == kinds.count("output_item.done") == 3
    assert kinds.index("reasoning_summary_text.done") < kinds.index(
        "content_part.added"
    )
    assert [each["sequence_number"] for each in said] == [*range(len(said))]
    assert sum(event.tokens for event in events) == 3
    added = [each["item"] for each in said if each["type"].endswith("item.added")]
    assert [
        each.get("content", each.get("summary", each.get("arguments")))
        for each in added
    ] == [[], [], ""]
