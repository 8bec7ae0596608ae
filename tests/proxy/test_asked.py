"""The calls of an answer become columns, in any family, and a fault in that costs nothing else."""

import asyncio
import gzip
from collections import Counter
from pathlib import Path

import pytest

from proxy.asked import NONE_FOUND, Asking
from proxy.identify.call_ids import own_id
from proxy.identify.hashing import digest
from proxy.judge.call_checks import Checker
from proxy.model import Reading, ToolCall
from proxy.record.codec import AskedCall
from tests.helpers.asking import FAMILIES
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import running, settings_for
from tests.helpers.records import read_spool
from tests.helpers.wire import request, response

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
SEED = 7
WITHOUT_IDS = {"openai_chat functions", "gemini_generate", "gemini_generate json", "cohere_v1", "ollama"}  # fmt: skip


def asking() -> tuple[Asking, Counter[str]]:
    faults: Counter[str] = Counter()

    def fault(phase: str) -> None:
        faults[phase] += 1

    def drop(reason: str, calls: int) -> None:
        faults[reason] += calls

    return Asking(SEED, fault, drop), faults


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_its_calls_in_the_row(name: str):
    family = FAMILIES[name]
    body = family.body([("f", SCHEMA), ("g", SCHEMA)])
    calls = [("f", '{"x": 1}'), ("h", '{"x": 1}'), ("g", '{"x": "1"}')]
    calls = calls[:1] if name.endswith("functions") else calls
    asked, faults = asking()
    told = asked.look(lambda: body, family.read(body, family.answer(calls))).calls
    assert [each.tool for each in told] == [tool for tool, _ in calls]
    assert [each.problem for each in told] == ["", "unknown_tool", "bad_arguments"][: len(calls)]  # fmt: skip
    assert told[0].args_hash == digest(SEED, b'{"x":1}')
    ours = [each.id.startswith("tacho_call_") for each in told]
    assert set(ours) == {name in WITHOUT_IDS}
    assert not faults


def test_the_order_of_members_makes_no_other_arguments():
    calls = (ToolCall("", "f", b'{"a": 1, "b": 2}'), ToolCall("", "f", b'{"b":2,"a":1}'))  # fmt: skip
    first, second = asking()[0].look(lambda: None, Reading(tool_calls=calls)).calls
    assert first.args_hash == second.args_hash
    assert first.id == own_id(SEED, "f", b'{"a":1,"b":2}', 0) != second.id


def test_the_request_is_not_asked_for_where_there_are_no_calls():
    def body() -> bytes:
        raise AssertionError

    assert asking()[0].look(body, Reading(output_text="hi")) == NONE_FOUND


def test_calls_of_a_request_that_was_not_read_are_told_without_a_problem():
    told = asking()[0].look(lambda: None, Reading(tool_calls=(ToolCall("", "f", b"{"),))).calls  # fmt: skip
    assert told == (AskedCall(own_id(SEED, "f", b"{", 0), "f", digest(SEED, b"{")),)


def test_what_cannot_be_checked_is_counted():
    body = FAMILIES["openai_chat"].body([("f", {"$ref": "https://example.com/x"})])
    asked, faults = asking()
    calls = (ToolCall("", "f", b"{}"), ToolCall("", "f", b"{}"))
    told = asked.look(lambda: body, Reading(tool_calls=calls)).calls
    assert [each.problem for each in told] == ["", ""]
    assert faults == {"unchecked_call": 2}


def test_a_fault_costs_only_the_columns(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Checker, "check", fail)
    asked, faults = asking()
    assert asked.look(lambda: b"{}", Reading(tool_calls=(ToolCall("", "f", b"{}"),))) == NONE_FOUND  # fmt: skip
    assert faults == {"judge": 1}


STREAM = FAMILIES["openai_chat streamed"]
CALLS = [("f", '{"x": 1}'), ("wrong", "{}"), ("f", '{"x": ')]


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_the_row_of_a_call_through_the_proxy_says_what_was_asked_for(
    coding: str, origin: RawOrigin, data_dir: Path
):
    async def answer(exchange: Exchange) -> None:
        events = STREAM.answer(CALLS)
        head = (b"Content-Type", b"text/event-stream")
        await exchange.send(response(events, head))

    origin.handler = answer
    body = STREAM.body([("f", SCHEMA)])
    headers = [(b"Content-Type", b"application/json")]
    if coding:
        body = gzip.compress(body)
        headers.append((b"Content-Encoding", coding.encode()))
    async with running(settings_for(data_dir, origin)) as proxy:
        sent = request(b"/openai/v1/chat/completions", *headers, method=b"POST", body=body)  # fmt: skip
        assert (await proxy.call(sent)).status == 200
        (seen,), _ = await asyncio.to_thread(read_spool, data_dir)
    assert [each.tool for each in seen.close.calls] == ["f", "wrong", "f"]
    assert [each.problem for each in seen.close.calls] == ["", "unknown_tool", "bad_json"]  # fmt: skip
    assert [each.id for each in seen.close.calls] == [f"call_{i}aZbYcXdWeV" for i in range(3)]  # fmt: skip


def test_an_answer_that_could_not_be_held_is_counted():
    asked, faults = asking()
    asked.unheld()
    assert faults == {"unheld_call": 1}
