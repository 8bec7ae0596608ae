"""A refused tool call is a result that the model reads; any other request an error."""

import json

import pytest

from proxy.judge.mcp_refusals import REFUSED, answers, framed
from proxy.judge.shapes import Told

TOLD = Told("tachograph: no more", "step_limit")


def said(body):
    return json.loads(answers(body, TOLD))


def request(request_id, method="tools/call"):
    return {"jsonrpc": "2.0", "id": request_id, "method": method}


@pytest.mark.parametrize("request_id", [1, "1", "a-7", 0, 1.5], ids=repr)
def test_a_tools_call_gets_a_result_that_says_so_under_its_own_id(request_id):
    answer = said(json.dumps(request(request_id)).encode())
    assert answer == {
        "jsonrpc": "2.0",
        "id": request_id,
        "result": {
            "content": [{"type": "text", "text": "tachograph: no more"}],
            "isError": True,
            "resultType": "complete",
        },
    }
    assert type(answer["id"]) is type(request_id)


def test_another_request_gets_an_error():
    answer = said(json.dumps(request(3, "resources/read")).encode())
    assert answer["id"] == 3
    error = {
        "code": REFUSED,
        "message": TOLD.message,
        "data": {"reason": "step_limit"},
    }
    assert answer["error"] == error


def test_an_error_says_how_long_to_wait():
    told = Told("tachograph: later", "upstream_failing", wait_seconds=4)
    answer = json.loads(answers(b'{"id":1,"method":"ping"}', told))
    assert answer["error"]["data"]["retryAfterSeconds"] == 4


def test_every_request_of_a_batch_is_answered_and_nothing_else():
    batch = [request(1), {"jsonrpc": "2.0", "method": "notifications/x"}, request(2, "ping")]  # fmt: skip
    answer = said(b" " + json.dumps(batch).encode())
    assert [(each["id"], "result" in each) for each in answer] == [
        (1, True),
        (2, False),
    ]


@pytest.mark.parametrize(
    "body",
    [None, b"", b"no JSON", b"[" * 100_000, b'{"method":"tools/call"}', b"[]", b"[1]"],
    ids=["unread", "empty", "text", "deep", "no id", "empty batch", "odd batch"],
)
def test_what_has_no_id_gets_an_error_without_one(body):
    answer = said(body)
    assert answer["id"] is None
    assert answer["error"]["message"] == TOLD.message


def test_an_event_holds_the_message():
    assert framed(b"{}") == b"event: message\ndata: {}\n\n"
