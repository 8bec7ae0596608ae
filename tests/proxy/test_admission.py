"""What is known of a call at admission."""

from itertools import count
from typing import Any

import pytest

from proxy.admission import Identifier
from proxy.arriving import NO_ASK, Installation, Request
from proxy.http.headers import Headers
from proxy.model import ANONYMOUS, Ask, Client, Kind, RunSource
from proxy.recognition import Recognizer
from proxy.state import State
from proxy.state.memory import MemoryState
from tests.helpers.runs.tracking import drive

HOME = Installation("here", "acme", "prod", "house-agent", b"secret")
CHAT = Ask("openai_chat", "chat", Kind.LLM, True, model="gpt-5", stream=True)
TOOL = Ask("plain_http", "http", Kind.TOOL, True)
NOW_NS = 1_750_000_000_123_456_789


class Desk:
    """An identifier with ids in order, and what it ignored."""

    def __init__(self, state: State | None = None) -> None:
        self.ignored: list[int] = []
        ids = count(1)
        self.faults: list[str] = []
        self.state = MemoryState(100, 10**12) if state is None else state

        def new_id(_: int) -> str:
            return f"{next(ids):032x}"

        self.identifier = Identifier(
            HOME,
            Recognizer(HOME.seed, self.state, new_id),
            new_id,
            self.ignored.append,
            self.faults.append,
        )

    def open(self, *headers: tuple[bytes, bytes], ask: Ask = CHAT, **changes: Any):
        facts: dict[str, Any] = {
            "method": "POST",
            "client": ANONYMOUS,
            "route": "openai",
            "provider": "openai",
            "upstream_path": "/v1/chat/completions",
            "query": b"",
            "inflight": 3,
        }
        request = Request(Headers(headers), ask=ask, **{**facts, **changes})
        return drive(self.identifier.identify(request, NOW_NS)).opened


def test_a_call_that_names_nothing_is_the_installations():
    opened = Desk().open()
    assert (opened.instance, opened.tenant, opened.env) == ("here", "acme", "prod")
    assert (opened.agent, opened.agent_source) == ("house-agent", "env")
    assert (opened.run_id, opened.run_source) == ("", RunSource.UNMATCHED)
    assert opened.step_seq is None
    assert opened.caller == "anonymous"
    assert opened.trace_id == opened.parent_span_id == ""


def test_what_was_asked_is_kept():
    opened = Desk().open()
    assert (opened.route, opened.provider, opened.operation) == (
        "openai",
        "openai",
        "chat",
    )
    assert (opened.dialect, opened.model_requested, opened.stream) == (
        "openai_chat",
        "gpt-5",
        True,
    )
    assert (opened.kind, opened.is_step, opened.inflight) == (Kind.LLM, True, 3)
    assert opened.ts_us == NOW_NS // 1000
    assert (opened.attempt, opened.step_id) == (0, opened.attempt_id)
    assert opened.span_id == opened.attempt_id[-16:]  # fmt: skip


def test_a_run_that_was_named_counts_its_steps_from_one():
    desk = Desk()
    opened = [desk.open((b"x-tacho-run", b"r1")) for _ in range(3)]
    assert [each.step_seq for each in opened] == [1, 2, 3]
    assert {each.run_id for each in opened} == {"r1"}
    assert {each.root_run_id for each in opened} == {"r1"}
    assert {each.run_source for each in opened} == {RunSource.EXPLICIT}


def test_runs_of_two_tenants_do_not_share_their_count():
    desk = Desk()
    keyed = Client("k", "globex", may_set=frozenset())
    desk.open((b"x-tacho-run", b"r1"))
    assert desk.open((b"x-tacho-run", b"r1"), client=keyed).step_seq == 1


def test_what_is_no_step_takes_no_number():
    desk = Desk()
    listing = Ask("openai_other", "models", Kind.LLM, is_step=False)
    assert desk.open((b"x-tacho-run", b"r1"), ask=listing).step_seq is None
    assert desk.open((b"x-tacho-run", b"r1")).step_seq == 1


def test_a_tool_call_without_a_run_belongs_to_none():
    assert Desk().open(ask=TOOL).run_source is RunSource.NONE


def test_the_path_names_tenant_agent_and_run_where_the_client_may():
    keyed = Client("k", may_set=frozenset({"tenant", "agent"}))
    opened = Desk().open(client=keyed, tenant="globex", agent="bot", run="r9")
    assert (opened.tenant, opened.agent, opened.run_id) == ("globex", "bot", "r9")
    assert opened.agent_source == "path"
    assert opened.caller == "key:k"


def test_without_a_key_the_path_names_no_tenant():
    assert Desk().open(tenant="globex").tenant == "acme"


def test_headers_name_the_rest():
    opened = Desk().open(
        (b"x-tacho-session", b"s1"),
        (b"x-tacho-agent-version", b"v2"),
        (b"x-tacho-step-name", b"plan"),
        (b"x-tacho-tag-team", b"search"),
        (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"),
        (b"authorization", b"Bearer sk-1"),
    )
    assert (opened.session_id, opened.agent_version) == ("s1", "v2")
    assert (opened.step_name, opened.step_name_source) == ("plan", "header")
    assert opened.tags == {"team": "search"}
    assert (opened.trace_id, opened.parent_span_id) == ("a" * 32, "b" * 16)
    assert len(opened.caller) == 16


@pytest.mark.parametrize(
    ("headers", "ignored"),
    [([], []), ([(b"x-tacho-run", b"no good")], [1])],
    ids=["none", "one"],
)
def test_names_that_are_not_valid_are_ignored_and_counted(
    headers: list[tuple[bytes, bytes]], ignored: list[int]
):
    desk = Desk()
    assert desk.open(*headers).run_id == ""
    assert desk.ignored == ignored


def test_a_refused_request_is_no_step_of_any_route():
    desk = Desk()
    headers = Headers([(b"x-tacho-run", b"r1")])
    opened = desk.identifier.refused(headers, 7, NOW_NS)
    assert (opened.route, opened.operation, opened.dialect) == (
        "",
        NO_ASK.operation,
        "",
    )
    assert (opened.is_step, opened.kind, opened.step_seq) == (False, Kind.OTHER, None)
    assert (opened.run_id, opened.inflight) == ("r1", 7)


def test_the_secret_is_not_shown():
    assert "secret" not in repr(HOME)
