from typing import Any

import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, dumps, read

RUNS = "/v1/threads/thread_1/runs"
RUN = RUNS + "/run_1"
USAGE = {
    "prompt_tokens": 381,
    "completion_tokens": 89,
    "prompt_token_details": {"cached_tokens": 81},
}


def run(status: str, usage: Any = None, **more: Any) -> bytes:
    return dumps(
        {
            "id": "run_1",
            "object": "thread.run",
            "status": status,
            "model": "gpt-x",
            "usage": usage,
            **more,
        }
    )


def event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


@pytest.mark.parametrize(
    ("method", "path", "operation", "is_step"),
    [
        ("POST", RUNS, "thread_run", True),
        ("POST", "/v1/threads/runs", "thread_run", True),
        ("POST", RUN + "/submit_tool_outputs", "thread_run", True),
        ("GET", RUN, "thread_run_get", False),
        ("GET", RUNS, "thread", False),
        ("POST", RUN, "thread", False),
        ("POST", "/v1/threads", "thread", False),
        ("POST", "/v1/threads/thread_1/messages", "thread", False),
        ("GET", RUN + "/steps", "thread", False),
        ("DELETE", "/v1/assistants/asst_1", "thread", False),
    ],
)
def test_operations_are_told_apart(
    method: str, path: str, operation: str, is_step: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.is_step) == (operation, is_step)


def test_a_request_is_read():
    ask = ask_for(RUNS, b'{"model": "m", "stream": true, "instructions": "abc"}')
    assert (ask.model, ask.stream, ask.input_chars, ask.kind) == (
        "m",
        True,
        3,
        Kind.LLM,
    )


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(RUNS, body).well_formed == well_formed
    assert ask_for("/v1/threads", body).well_formed


def test_a_run_that_goes_on_is_deferred_and_one_that_ended_carries_its_usage():
    started = read(RUNS, run("queued"))
    assert (started.deferred, started.usage, started.finish_reason) == (True, None, "")
    ended = read(RUN, run("completed", USAGE), method="GET")
    assert (ended.deferred, ended.finish_reason, ended.response_id) == (
        False,
        "completed",
        "run_1",
    )
    assert ended.usage == Usage(input=300, cache_read=81, output=89)


def test_a_stream_has_the_usage_of_the_run_and_not_of_its_steps():
    step = dumps(
        {
            "object": "thread.run.step",
            "usage": {"prompt_tokens": 154, "completion_tokens": 62},
        }
    )
    body = (
        event("thread.run.created", run("queued"))
        + event(
            "thread.run.step.delta",
            dumps({"object": "thread.run.step.delta", "delta": {}}),
        )
        + event("thread.run.step.completed", step)
        + event(
            "thread.message.delta",
            dumps(
                {
                    "object": "thread.message.delta",
                    "delta": {"content": [{"text": {"value": "abc"}}]},
                }
            ),
        )
    )
    cut = read(RUNS, body)
    assert (cut.usage, cut.terminal, cut.output_chars) == (None, False, 3)
    whole = read(
        RUNS,
        body
        + event("thread.run.completed", run("completed", USAGE))
        + event("done", b"[DONE]"),
    )
    assert (whole.usage, whole.terminal, whole.deferred) == (
        Usage(input=300, cache_read=81, output=89),
        True,
        False,
    )


def test_code_and_arguments_count_as_output_and_what_came_of_them_does_not():
    calls = [
        {"code_interpreter": {"input": "import", "outputs": [{"logs": "long"}]}},
        {"function": {"name": "f", "arguments": "{}", "output": "long"}},
        {"code_interpreter": {"input": ""}},
        "odd",
    ]
    said = {
        "object": "thread.run.step.delta",
        "delta": {"step_details": {"tool_calls": calls}},
    }
    cut = read(
        RUNS,
        event("thread.run.created", run("queued"))
        + event("thread.run.step.delta", dumps(said)),
    )
    assert (cut.output_text, cut.output_deltas) == ("import{}", 1)


def test_a_cut_stream_is_booked_at_once_though_its_run_goes_on():
    cut = read(RUNS, event("thread.run.created", run("queued")))
    assert (cut.deferred, cut.terminal) == (False, False)


def test_errors_are_told():
    in_stream = read(RUNS, event("error", b'{"code": "server_error", "message": "m"}'))
    assert (in_stream.error_in_stream, in_stream.error_type) == (
        True,
        ErrorType.SERVER_ERROR,
    )
    whole = read(RUNS, b'{"error": {"code": "server_error"}}')
    assert (whole.error_in_stream, whole.error_type) == (True, ErrorType.SERVER_ERROR)
    failed = read(
        RUN, run("failed", last_error={"code": "rate_limit_exceeded"}), method="GET"
    )
    assert (failed.error_in_stream, failed.error_type) == (
        False,
        ErrorType.RATE_LIMITED,
    )


def test_messages_of_a_thread_are_not_metered():
    assert read("/v1/threads/t/messages", dumps({"usage": USAGE})).usage is None
