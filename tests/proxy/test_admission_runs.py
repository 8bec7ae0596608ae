"""Runs, steps, agents and prompts as they stand in a call's `Open`."""

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NoReturn

import pytest

from proxy.admission import Admitted, Identifier
from proxy.arriving import Installation, Request
from proxy.http.headers import Headers
from proxy.identify.facts import Fact
from proxy.model import ANONYMOUS, Ask, ErrorType, Kind, Outcome, Reading, RunSource
from proxy.recognition import Recognizer
from proxy.record.codec import Open
from proxy.state import State
from proxy.state.memory import MemoryState
from tests.helpers.runs.tracking import DAY_US, drive

HOME = Installation("here", "acme", "prod", "", b"secret")
CHAT = Ask("openai_chat", "chat", Kind.LLM, True)
TOOL = Ask("plain_http", "http", Kind.TOOL, True)
HELLO = {"role": "user", "content": "Hello."}
SYSTEM = {"role": "system", "content": "You are a tax adviser. It is 10:31."}
CLAUDE = (b"x-claude-code-session-id", b"3f2b"), (b"x-claude-code-agent-id", b"a7")


class Down(MemoryState):
    """A state that cannot be asked."""

    async def look(self, keys: Sequence[int]) -> Mapping[int, Fact]:
        raise ConnectionError("gone")


class Desk:
    def __init__(self, state: State | None = None) -> None:
        ids = count(1)
        self.faults: list[str] = []
        self.state = MemoryState(10, DAY_US) if state is None else state
        self.now_us = 1_000_000

        def new_id(_: int) -> str:
            return f"{next(ids):032x}"

        self.identifier = Identifier(
            HOME,
            Recognizer(HOME.seed, self.state, new_id),
            new_id,
            lambda _: None,
            self.faults.append,
        )

    def request(self, *messages: Any, ask: Ask = CHAT, headers: Any = (), body: bytes | None = None, **more: Any) -> Request:  # fmt: skip
        self.now_us += 1_000_000
        body = json.dumps({"messages": messages}).encode() if messages else body
        parts: dict[str, Any] = {"peer": ("10.0.0.1", 5), **more}
        return Request(Headers(headers), "POST", ANONYMOUS, "openai", "openai", "/v1/chat", b"", ask, 0, body=body, **parts)  # fmt: skip

    def admit(self, *messages: Any, **more: Any) -> Admitted:
        request = self.request(*messages, **more)
        return drive(self.identifier.identify(request, self.now_us * 1000))

    def open(self, *messages: Any, **more: Any) -> Open:
        return self.admit(*messages, **more).opened


def test_a_conversation_begins_a_run_and_its_session():
    opened = Desk().open(HELLO)
    assert opened.run_source is RunSource.NEW
    assert opened.run_id == opened.root_run_id != ""
    assert (opened.step_seq, opened.turn_seq, opened.attempt) == (1, 1, 0)
    assert opened.step_id == opened.attempt_id
    assert opened.session_id.startswith("session-")


def test_the_same_again_after_a_failure_is_an_attempt_of_its_step():
    desk = Desk()
    first = desk.admit(HELLO)
    assert first.trail
    first.trail.answered(Outcome.TIMEOUT, ErrorType.IDLE_TIMEOUT, Reading(), 1)
    retried = desk.open(HELLO, headers=[(b"x-stainless-retry-count", b"1")])
    assert (retried.step_id, retried.attempt, retried.step_seq, retried.retry_layer) == (first.opened.step_id, 1, 1, "sdk")  # fmt: skip


EMBED = Ask("openai_embeddings", "embeddings", Kind.EMBEDDING, True)
MODELS = Ask("openai_other", "models", Kind.OTHER, False)
AGAIN = [(b"x-stainless-retry-count", b"1")]
STRAYS = {
    "embedding": {"ask": EMBED, "body": b'{"input":"a"}'},
    "tool": {"ask": TOOL, "body": b"{}"},
    "model without a conversation": {"ask": CHAT, "body": b'{"prompt_id":"p"}'},
    "models": {"ask": MODELS, "body": b""},
    "models of a run": {"ask": MODELS, "body": b"", "headers": [(b"x-tacho-run", b"r1")]},
}  # fmt: skip


@pytest.mark.parametrize("parts", STRAYS.values(), ids=STRAYS)
@pytest.mark.parametrize(("headers", "layer"), [(AGAIN, "sdk"), ([], "app")], ids=["sdk", "app"])  # fmt: skip
def test_a_call_of_no_run_that_is_tried_again_is_one_step(parts, headers, layer):
    desk = Desk()
    first = desk.admit(**parts)
    assert first.trail
    first.trail.answered(Outcome.UPSTREAM_ERROR, ErrorType.SERVER_ERROR, Reading(), desk.now_us + 5)  # fmt: skip
    more = {"headers": [*parts.get("headers", ()), *headers]}
    again = desk.admit(**(parts | more))
    opened = again.opened
    assert (opened.step_id, opened.attempt, opened.retry_layer) == (first.opened.step_id, 1, layer)  # fmt: skip
    assert (opened.step_seq, opened.run_id) == (None, first.opened.run_id)
    assert again.trail
    again.trail.answered(Outcome.COMPLETED, ErrorType.NONE, Reading(), desk.now_us + 5)
    later = desk.open(**(parts | more))
    assert (later.step_id, later.attempt, later.retry_layer) == (later.attempt_id, 0, "")  # fmt: skip


def test_equal_calls_of_no_run_at_the_same_time_are_steps_of_their_own():
    desk = Desk()
    first, second = (desk.admit(**STRAYS["embedding"]) for _ in range(2))
    assert first.opened.step_id != second.opened.step_id
    for each in (first, second):
        assert each.trail
        each.trail.answered(Outcome.TIMEOUT, ErrorType.IDLE_TIMEOUT, Reading(), desk.now_us)  # fmt: skip
    again = [desk.open(**(STRAYS["embedding"] | {"headers": AGAIN})) for _ in range(3)]
    steps = {first.opened.step_id, second.opened.step_id}
    assert {each.step_id for each in again[:2]} == steps
    assert sorted(each.attempt for each in again) == [1, 1, 2]


def test_a_call_that_says_nothing_by_which_it_could_be_known_leaves_nothing():
    assert Desk().admit(ask=TOOL, body=None).trail is None


def test_another_path_is_another_call():
    desk = Desk()
    first = desk.admit(HELLO)
    assert first.trail
    first.trail.answered(Outcome.TIMEOUT, ErrorType.IDLE_TIMEOUT, Reading(), 1)
    other = desk.request(HELLO)
    other = Request(**{name: getattr(other, name) for name in Request.__slots__} | {"upstream_path": "/v2"})  # fmt: skip
    assert drive(desk.identifier.identify(other, desk.now_us * 1000)).opened.attempt == 0  # fmt: skip


def test_an_agent_tool_names_run_and_session():
    opened = Desk().open(HELLO, headers=CLAUDE)
    assert (opened.run_id, opened.session_id) == ("claude-code-a7", "claude-code-3f2b")
    assert opened.run_source is RunSource.HARNESS


def test_an_agent_that_nobody_named_is_called_by_its_prompt():
    desk = Desk()
    opened = desk.open(SYSTEM, HELLO)
    assert (opened.agent, opened.agent_source) == ("tax-adviser", "prompt")
    assert opened.agent_version == f"{opened.prompt_hash:016x}"
    later = desk.open({**SYSTEM, "content": SYSTEM["content"].replace("31", "32")}, HELLO)  # fmt: skip
    assert later.prompt_hash == opened.prompt_hash
    desk.identifier.rename({"tax-adviser": "taxes"})
    assert desk.open(SYSTEM, HELLO).agent == "taxes"


def test_a_name_that_was_given_wins_over_the_prompt():
    headers = [(b"x-tacho-agent", b"bot"), (b"x-tacho-agent-version", b"v2")]
    opened = Desk().open(SYSTEM, HELLO, headers=headers)
    assert (opened.agent, opened.agent_source, opened.agent_version) == ("bot", "header", "v2")  # fmt: skip


def test_a_new_prompt_of_an_agent_is_told_once():
    desk = Desk()
    named = {"headers": [(b"x-tacho-agent", b"bot")]}
    first = desk.admit(SYSTEM, HELLO, **named)
    other = {**SYSTEM, "content": "You are a pirate."}
    changed = [desk.admit(other, HELLO, **named).prompt_before for _ in range(2)]
    assert (first.prompt_before, changed) == (None, [first.opened.prompt_hash, None])


def test_a_call_of_a_run_has_its_agent_where_it_names_none():
    desk = Desk()
    desk.open(SYSTEM, HELLO, headers=[(b"x-tacho-run", b"r1")])
    tool = desk.open(ask=TOOL, headers=[(b"x-tacho-run", b"r1")])
    assert (tool.agent, tool.agent_source, tool.step_seq) == ("tax-adviser", "run", 2)


@pytest.mark.parametrize("body", [None, b"", b"[]", b"\xff"], ids=["unread", "empty", "list", "no JSON"])  # fmt: skip
def test_a_body_that_shows_no_conversation_leaves_the_headers(body):
    desk = Desk()
    opened = desk.open(body=body)
    assert (opened.run_id, opened.run_source) == ("", RunSource.UNMATCHED)
    named = desk.open(body=body, headers=[(b"x-tacho-run", b"r1")])
    assert (named.run_id, named.step_seq) == ("r1", 1)


def test_a_step_is_named_by_the_results_that_it_reads():
    call = {"id": "call_a1B2c3", "type": "function", "function": {"name": "search", "arguments": "{}"}}  # fmt: skip
    asked = {"role": "assistant", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "call_a1B2c3", "content": "x"}
    opened = Desk().open(HELLO, asked, result)
    assert (opened.step_name, opened.step_name_source) == ("after search", "results")


@pytest.mark.parametrize(
    ("ask", "source"), [(CHAT, RunSource.UNMATCHED), (TOOL, RunSource.NONE)], ids=["model", "tool"]
)  # fmt: skip
def test_a_fault_costs_a_call_its_place_and_is_counted(ask, source):
    desk = Desk(Down(10, DAY_US))
    opened = desk.open(HELLO, ask=ask)
    assert (opened.run_id, opened.run_source, opened.step_seq) == ("", source, None)
    assert desk.faults == ["identify"]
    named = desk.open(HELLO, ask=ask, headers=[(b"x-tacho-run", b"r1")])
    assert (named.run_id, named.run_source) == ("r1", RunSource.EXPLICIT)


def test_a_call_that_came_to_nothing_is_not_remembered():
    desk = Desk()
    request = desk.request(HELLO, headers=[(b"x-tacho-run", b"r1")])
    opened = desk.identifier.unremembered(request, 5000)
    assert (opened.run_id, opened.step_seq, opened.turn_seq) == ("r1", None, None)
    assert not len(desk.state)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["PromptHashes.hash", "read_harness", "Incoming"])
def test_a_reader_that_fails_leaves_the_call_what_it_was_called(
    where: str, monkeypatch: pytest.MonkeyPatch
):
    desk = Desk()

    def fail(*_: object) -> NoReturn:
        raise ValueError

    monkeypatch.setattr(f"proxy.admission.{where}", fail)
    opened = desk.open(SYSTEM, HELLO, headers=[(b"x-tacho-run", b"r1")])
    assert (opened.run_id, opened.run_source) == ("r1", RunSource.EXPLICIT)
    assert (opened.step_seq, desk.faults) == (None, ["identify"])


def test_a_fault_with_a_call_that_came_to_nothing_is_counted(
    monkeypatch: pytest.MonkeyPatch,
):
    desk = Desk()

    def fail(*_: object) -> NoReturn:
        raise ValueError

    monkeypatch.setattr("proxy.admission.read_harness", fail)
    opened = desk.identifier.unremembered(desk.request(HELLO), 5000)
    assert (opened.run_source, desk.faults) == (RunSource.UNMATCHED, ["identify"])
