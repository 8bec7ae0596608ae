"""MCP: which call a message is, and what its answer says, in all shapes and slicings."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.dialect import Head
from proxy.meter.dialects import recognise
from proxy.meter.dialects.mcp import MAX_AWAITED, MAX_TOOL_CHARS
from proxy.meter.tee import Tee
from proxy.model import Ask, ErrorType, Kind, Reading
from tests.helpers.meter import EVENTS, dumps

PATH = "/mcp"
CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "find"}}
OK: dict[str, Any] = {"content": [{"type": "text", "text": "found"}]}
FAILED = {**OK, "isError": True}
PROGRESS = {
    "jsonrpc": "2.0",
    "method": "notifications/progress",
    "params": {"progressToken": 7, "progress": 1},
}
SERVER_ASKS = {"jsonrpc": "2.0", "id": 7, "method": "roots/list"}


def ask_for(sent: Any, method: str = "POST", path: str = PATH) -> Ask:
    dialect, operation = recognise(Kind.MCP, "", method, path)
    body = sent if sent is None or isinstance(sent, bytes) else dumps(sent)
    return dialect.read_request(operation, body)


def tee_for(ask: Ask, status: int = 200, content_type: str = "application/json") -> Tee:
    dialect, _ = recognise(Kind.MCP, "", "POST", PATH)
    return Tee(dialect.reader(ask, Head(status, content_type)), "", 8 << 20)


def read(body: bytes, sent: Any = CALL, **head: Any) -> Reading:
    """Read an answer whole, and byte by byte, which must come to the same."""
    ask = ask_for(sent)
    whole, bytewise = tee_for(ask, **head), tee_for(ask, **head)
    whole.feed(body)
    for at in range(len(body)):
        bytewise.feed(body[at : at + 1])
    assert whole.reading() == bytewise.reading()
    assert whole.terminal == bytewise.terminal
    assert whole.failures == bytewise.failures == 0
    return whole.reading()


def result(found: Any, answered: Any = 7) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": answered, "result": found}


def error(code: Any, answered: Any = 7) -> dict[str, Any]:
    said = {"code": code, "message": "no"}
    return {"jsonrpc": "2.0", "id": answered, "error": said}


def events(*values: Any, start: bytes = b"event: message\ndata: ") -> bytes:
    return b"".join(start + dumps(value) + b"\r\n\r\n" for value in values)


# The request.


@pytest.mark.parametrize(
    ("method", "is_step"),
    [
        ("tools/call", True),
        ("resources/read", True),
        ("prompts/get", True),
        ("sampling/createMessage", True),
        ("initialize", False),
        ("server/discover", False),
        ("tools/list", False),
        ("ping", False),
        ("completion/complete", False),
        ("subscriptions/listen", False),
        ("tasks/result", False),
    ],
)
def test_a_request_is_named_by_its_method(method: str, is_step: bool):
    ask = ask_for({"jsonrpc": "2.0", "id": "a", "method": method})
    assert (ask.dialect, ask.operation, ask.kind) == ("mcp", method, Kind.MCP)
    assert (ask.is_step, ask.awaited, ask.tool) == (is_step, ("a",), "")


def test_a_call_names_its_tool():
    ask = ask_for(CALL)
    assert (ask.operation, ask.tool, ask.is_step) == ("tools/call", "find", True)
    long = {**CALL, "params": {"name": "x" * 1000}}
    assert ask_for(long).tool == "x" * MAX_TOOL_CHARS


@pytest.mark.parametrize("params", [{}, {"name": 5}, [], "find", None])
def test_a_call_that_names_none_has_none(params: Any):
    assert ask_for({**CALL, "params": params}).tool == ""
    assert ask_for({key: CALL[key] for key in ("id", "method")}).tool == ""


def test_a_method_that_nobody_knows_is_work_under_a_name_of_ours():
    ask = ask_for({"jsonrpc": "2.0", "id": 1, "method": "acme/deploy"})
    assert (ask.operation, ask.is_step) == ("other", True)


MESSAGES = [
    pytest.param(PROGRESS, "notification", id="notification"),
    pytest.param({**CALL, "id": None}, "notification", id="id null"),
    pytest.param(result({}), "response", id="answer to the server"),
    pytest.param(error(-1), "response", id="refusal to the server"),
    pytest.param([PROGRESS, PROGRESS], "notification", id="batch of notifications"),
    pytest.param([PROGRESS, result({})], "batch", id="batch without requests"),
]


@pytest.mark.parametrize(("sent", "operation"), MESSAGES)
def test_what_awaits_no_answer_is_no_step(sent: Any, operation: str):
    ask = ask_for(sent)
    assert (ask.operation, ask.is_step, ask.awaited) == (operation, False, ())
    assert ask.well_formed


def test_a_batch_is_what_its_only_request_is():
    ask = ask_for([PROGRESS, CALL])
    assert (ask.operation, ask.tool, ask.awaited) == ("tools/call", "find", ("7",))


def test_a_batch_of_several_calls_is_named_where_they_agree():
    ping = {"jsonrpc": "2.0", "id": 8, "method": "ping"}
    ask = ask_for([ping, CALL])
    assert (ask.operation, ask.is_step, ask.tool) == ("batch", True, "find")
    other = {**CALL, "id": 9, "params": {"name": "sell"}}
    ask = ask_for([CALL, other])
    assert (ask.operation, ask.tool, ask.awaited) == ("tools/call", "", ("7", "9"))
    many = [{**CALL, "id": number} for number in range(MAX_AWAITED + 5)]
    assert len(ask_for(many).awaited) == MAX_AWAITED


@pytest.mark.parametrize(
    "sent", [b"", b"{", b"[", b"[]", b"[1]", b"{}", b"client_id=7", b"\xff", {"id": 1}]
)
def test_what_is_no_message_is_no_step(sent: Any):
    ask = ask_for(sent)
    assert (ask.operation, ask.is_step, ask.well_formed) == ("other", False, False)


def test_a_body_that_was_not_read_may_be_work():
    ask = ask_for(None)
    assert (ask.operation, ask.is_step, ask.awaited) == ("message", True, ())


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/mcp", "sse_stream"),
        ("GET", "/sse", "sse_stream"),
        ("DELETE", "/mcp", "session_end"),
        ("GET", "/.well-known/oauth-protected-resource/mcp", "metadata"),
    ],
)
def test_what_posts_nothing_is_no_step(method: str, path: str, operation: str):
    ask = ask_for(b"", method, path)
    assert (ask.operation, ask.is_step, ask.kind) == (operation, False, Kind.MCP)
    assert ask.stream == (operation == "sse_stream")
    reader = tee_for(ask, content_type=EVENTS)
    reader.feed(events(result(FAILED)))
    assert reader.reading() == Reading()
    assert not reader.terminal


def test_other_methods_are_plain_http():
    for method in ("HEAD", "OPTIONS", "PUT"):
        assert recognise(Kind.MCP, "", method, PATH)[0].name == "plain_http"


@pytest.mark.parametrize("kind", [Kind.LLM, Kind.TOOL, Kind.EMBEDDING, Kind.OTHER])
def test_only_routes_to_mcp_servers_are_asked_for_it(kind: Kind):
    assert recognise(kind, "", "POST", PATH)[0].name == "plain_http"
    assert recognise(kind, "mcp", "POST", PATH)[0].name == "mcp"
    assert recognise(Kind.MCP, "", "POST", "/v1/chat/completions")[0].name == "mcp"


# The answer.

SAID = [
    pytest.param(result(OK), ErrorType.NONE, False, "", id="ok"),
    pytest.param(result(FAILED), ErrorType.TOOL_ERROR, False, "", id="isError"),
    pytest.param(result({**OK, "isError": 1}), ErrorType.NONE, False, "", id="no bool"),
    pytest.param(result([]), ErrorType.NONE, False, "", id="no object"),
    pytest.param(error(-32601), ErrorType.NOT_FOUND, True, "-32601", id="no method"),
    pytest.param(error(-32002), ErrorType.NOT_FOUND, True, "-32002", id="no resource"),
    pytest.param(error(-32602), ErrorType.INVALID_REQUEST, True, "-32602", id="params"),
    pytest.param(error(-32020), ErrorType.INVALID_REQUEST, True, "-32020", id="header"),
    pytest.param(error(-32603), ErrorType.SERVER_ERROR, True, "-32603", id="internal"),
    pytest.param(error(429), ErrorType.RATE_LIMITED, True, "429", id="as in HTTP"),
    pytest.param(error("x"), ErrorType.SERVER_ERROR, True, "x", id="code a word"),
    pytest.param(
        {"id": 7, "error": "no"}, ErrorType.SERVER_ERROR, True, "", id="a word alone"
    ),
]


@pytest.mark.parametrize(("message", "error_type", "is_error", "code"), SAID)
def test_an_answer_says_whether_the_call_failed(
    message: Any, error_type: ErrorType, is_error: bool, code: str
):
    for reading in (
        read(dumps(message)),
        read(dumps([message])),
        read(events(PROGRESS, message), content_type=EVENTS),
    ):
        assert (reading.error_type, reading.error_answer) == (error_type, is_error)
        assert reading.error_code == code
        assert not reading.error_in_stream
        assert not reading.malformed


def test_a_stream_ends_with_the_message_that_answers():
    tee = tee_for(ask_for(CALL), content_type=EVENTS)
    tee.feed(b"id: 1\nretry: 500\ndata:\n\n: ping\n\n")
    tee.feed(events(PROGRESS, SERVER_ASKS, result(FAILED, 8)))
    before = tee.reading()
    assert (before.terminal, before.error_type) == (False, ErrorType.NONE)
    tee.feed(b"event: message\ndata: " + dumps(result(FAILED)) + b"\n")
    assert tee.terminal
    reading = tee.reading()
    assert (reading.terminal, reading.deferred) == (True, False)
    assert reading.error_type is ErrorType.TOOL_ERROR
    tee.feed(b"id: 9\n\n")
    assert not tee.reading().deferred


@pytest.mark.parametrize("answered", ["7", 7.0])
def test_an_id_may_come_back_in_another_type(answered: Any):
    reading = read(events(result(OK, answered)), content_type=EVENTS)
    assert (reading.expects_terminal, reading.terminal) == (True, True)


@pytest.mark.parametrize("answered", [True, None, 7.5, [7]])
def test_an_error_about_nothing_that_could_be_read_is_all_that_comes(answered: Any):
    reading = read(events(error(-32700, answered)), content_type=EVENTS)
    assert reading.terminal == (answered != 7.5)


def test_a_stream_without_its_answer_is_cut():
    reading = read(events(PROGRESS), content_type=EVENTS)
    assert (reading.expects_terminal, reading.terminal) == (True, False)
    assert not reading.deferred


@pytest.mark.parametrize("resumable", [b"id: 4\n", b"retry: 100\n"])
def test_a_stream_that_can_be_resumed_may_end_without_its_answer(resumable: bytes):
    reading = read(resumable + b"data:\n\n", content_type=EVENTS)
    assert (reading.expects_terminal, reading.deferred) == (False, True)


def test_a_batch_is_over_when_all_of_it_is_answered():
    tee = tee_for(ask_for([CALL, {**CALL, "id": 8}]), content_type=EVENTS)
    tee.feed(events(result(FAILED, 8)))
    assert not tee.reading().terminal
    tee.feed(events(error(-32601)))
    assert tee.terminal
    assert tee.reading().error_type is ErrorType.NOT_FOUND


def test_an_error_stays_when_a_tool_fails_beside_it():
    body = dumps([error(-32601), result(FAILED, 8)])
    reading = read(body, [CALL, {**CALL, "id": 8}])
    assert reading.error_type is ErrorType.NOT_FOUND


def test_a_request_that_was_not_read_is_answered_by_any_answer():
    reading = read(events(PROGRESS, result(FAILED, 3)), None, content_type=EVENTS)
    assert (reading.terminal, reading.error_type) == (True, ErrorType.TOOL_ERROR)


@pytest.mark.parametrize(("sent", "deferred"), [(CALL, True), (PROGRESS, False)])
def test_an_answer_that_comes_elsewhere_is_deferred(sent: Any, deferred: bool):
    assert read(b"Accepted", sent, status=202) == Reading(deferred=deferred)


@pytest.mark.parametrize(
    ("status", "body", "error_type", "code"),
    [
        (400, dumps(error(-32020, None)), ErrorType.INVALID_REQUEST, "-32020"),
        (404, dumps(error(-32601)), ErrorType.NOT_FOUND, "-32601"),
        (404, b"Session not found", ErrorType.NOT_FOUND, ""),
        (500, dumps(error(-32603)), ErrorType.SERVER_ERROR, "-32603"),
        (421, b"Invalid Host header", ErrorType.INVALID_REQUEST, ""),
    ],
)
def test_an_error_status_says_why(
    status: int, body: bytes, error_type: ErrorType, code: str
):
    reading = read(body, status=status)
    assert (reading.error_type, reading.error_code) == (error_type, code)
    assert not reading.error_answer


@pytest.mark.parametrize("body", [b"{", b"ok", b'{"id":7,"result":', b"[1]"])
def test_a_body_that_is_no_message_is_malformed(body: bytes):
    assert read(body).malformed


def test_there_is_nothing_to_count_in_it():
    reading = read(dumps(result({**OK, "usage": {"input_tokens": 5}})))
    assert (reading.usage, reading.cost, reading.output_chars) == (None, None, 0)


@given(st.binary(max_size=200), st.sampled_from(["application/json", EVENTS]))
def test_no_request_or_answer_raises(garbage: bytes, content_type: str):
    tee = tee_for(ask_for(garbage), content_type=content_type)
    tee.feed(garbage)
    tee.feed(b'\ndata: {"id":7,"error":' + garbage + b"}\n\n")
    tee.reading()
    assert tee.failures == 0


ODD: list[Any] = [
    *(None, True, 7, -32601, 1e300, 7.5, "7", "tools/call", [], [7], {}),
    {"name": "find"},
    {"name": ["find"]},
    {"isError": True},
    {"code": {}},
    {"code": True, "message": []},
]
MEMBERS = ["id", "method", "params", "result", "error"]


@given(st.dictionaries(st.sampled_from(MEMBERS), st.sampled_from(ODD)))
def test_no_message_of_wrong_types_raises(message: dict[str, Any]):
    ask_for(message)
    read(dumps(message))
    read(events(message), message, content_type=EVENTS)
