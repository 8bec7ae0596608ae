import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.headers import Headers
from proxy.identify.conversation import Conversation
from proxy.identify.harness import Harness, read_harness

NOTHING = Conversation()


def said(*headers: tuple[str, str], **metadata: str) -> Harness:
    pairs = tuple((name.encode(), value.encode()) for name, value in headers)
    return read_harness(Headers(pairs), Conversation(metadata=tuple(metadata.items())))


def test_a_claude_code_session_is_no_run_but_its_subagent_is():
    main = said(("x-claude-code-session-id", "s1"))
    assert (main.run, main.session) == ("", "claude-code-s1")
    sub = said(("x-claude-code-session-id", "s1"), ("x-claude-code-agent-id", "a2"), ("x-claude-code-parent-agent-id", "a1"))  # fmt: skip
    assert (sub.run, sub.parent, sub.session, sub.kind) == ("claude-code-a2", "claude-code-a1", "claude-code-s1", "subagent")  # fmt: skip


@pytest.mark.parametrize(
    ("user", "session"),
    [
        ("user_0a1b_account_3c_session_5d-6e", "claude-code-5d-6e"),
        (json.dumps({"device_id": "d", "session_id": "x"}), "claude-code-x"),
        (json.dumps({"session_id": "x"}), ""),
        ("jane", ""),
        ("{broken", ""),
        ("{" + " " * 20_000, ""),
    ],
)
def test_claude_codes_metadata_names_the_session(user, session):
    assert said(user_id=user).session == session


def test_a_codex_turn_is_a_run_and_its_thread_a_session():
    turn = json.dumps({"thread_id": "th", "turn_id": "tu", "request_kind": "compaction", "parent_thread_id": "pa"})  # fmt: skip
    found = said(("x-codex-turn-metadata", turn))
    assert (found.run, found.session, found.parent_session, found.kind) == ("codex-tu", "codex-th", "codex-pa", "compaction")  # fmt: skip
    assert said(**{"x-codex-turn-metadata": turn}) == found
    assert said(thread_id="th", turn_id="tu").run == "codex-tu"


def test_without_turns_a_codex_thread_is_the_run_over_all_its_windows():
    one = said(("x-codex-window-id", "th:1"), ("x-openai-subagent", "review"))
    assert (one.run, one.session, one.kind) == ("codex-th", "codex-th", "review")
    assert said(("x-codex-window-id", "th:2")).run == one.run
    assert said(("x-codex-window-id", "odd"), ("thread-id", "th")).run == "codex-th"
    assert said(("x-codex-window-id", "odd"), ("conversation_id", "c")).run == "codex-c"
    assert said(("x-codex-window-id", "odd")).run == ""
    assert said(("thread-id", "th")) == Harness()


def test_conventions_of_others_name_sessions():
    found = said(("x-session-affinity", "a"), ("x-session-id", "b"), ("x-parent-session-id", "p"))  # fmt: skip
    assert (found.run, found.session, found.parent_session) == ("", "session-a", "session-p")  # fmt: skip
    assert said(("helicone-session-id", "h")).session == "session-h"
    assert said(session_id="o", litellm_session_id="l").session == "session-o"
    assert said(litellm_session_id="l").session == "session-l"
    assert said(("x-session-id", "a"), ("x-session-id", "b")).session == ""


@pytest.mark.parametrize(
    ("headers", "count", "retry_key"),
    [
        ([("x-stainless-retry-count", "0")], 0, ""),
        ([("x-stainless-retry-count", "2")], 2, ""),
        ([("x-stainless-retry-count", "two")], 0, ""),
        ([("x-stainless-retry-count", "1"), ("idempotency-key", "stainless-python-retry-7f")], 1, "stainless-python-retry-7f"),
        ([("idempotency-key", "order-7")], 0, "order-7"),
        ([("amz-sdk-invocation-id", "i"), ("amz-sdk-request", "attempt=1; max=3")], 0, "i"),
        ([("amz-sdk-invocation-id", "i"), ("amz-sdk-request", "ttl=x; attempt=2; max=3")], 1, "i"),
        ([("amz-sdk-invocation-id", "i"), ("amz-sdk-request", "attempt=0; max=3")], 0, "i"),
        ([("amz-sdk-invocation-id", "i")], 0, "i"),
    ],
)  # fmt: skip
def test_sdks_say_that_they_try_again(headers, count, retry_key):
    found = said(*headers)
    assert (found.is_retry, found.retry_count, found.retry_key) == (count > 0, count, retry_key)  # fmt: skip


@given(st.binary(max_size=60), st.sampled_from(["x-claude-code-session-id", "x-codex-turn-metadata", "amz-sdk-request", "x-session-id", "x-codex-window-id"]))  # fmt: skip
def test_no_header_raises(value, name):
    read_harness(Headers(((name.encode(), value),)), NOTHING)
