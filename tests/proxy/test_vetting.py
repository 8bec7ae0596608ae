"""A fault in looking at an answer's calls costs the agent nothing; what is no step is not judged."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.end_to_end.test_governors import governed
from tests.helpers.asking import FAMILIES
from tests.helpers.counted import dropped
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import running
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request, response

pytestmark = pytest.mark.blocking_allowed  # the first call reads the price table
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
BAD = [("h", '{"x": "1"}')]
JSON = (b"content-type", b"application/json")


@pytest.mark.parametrize("name", ["openai_chat", "openai_chat streamed"])
async def test_a_fault_lets_the_answer_pass(
    name: str, data_dir: Path, origin: RawOrigin, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("proxy.asked.verdict", broken)
    family = FAMILIES[name]
    said = family.answer(BAD)
    streamed = STREAM_HEAD + chunk(said) + LAST_CHUNK
    origin.handler = always(streamed if "streamed" in name else response(said, JSON))
    sent = request(b"/openai/v1/chat/completions", JSON, method=b"POST", body=family.body([("f", SCHEMA)]))  # fmt: skip
    async with running(governed(data_dir, origin, tool_calls={"mode": "enforce"})) as proxy:  # fmt: skip
        got = await proxy.call(sent)
        row = await proxy.only()
        lost = dropped(proxy.worker)
    assert (got.status, got.body) == (200, said)
    assert (row.end.outcome, row.close.verdict_policy) == ("completed", "")
    assert "held" in row.close.altered
    assert lost["fault_judge"] == 1


async def test_an_answer_with_a_length_is_chunked_where_its_events_may_be_held(
    data_dir: Path, origin: RawOrigin
):
    family = FAMILIES["anthropic_messages streamed"]
    said = family.answer([("f", '{"x": 1}')])
    origin.handler = always(response(said, (b"content-type", b"text/event-stream")))
    sent = request(b"/anthropic/v1/messages", JSON, method=b"POST", body=family.body([("f", SCHEMA)]))  # fmt: skip
    made = governed(data_dir, origin, tool_calls={"mode": "enforce"})
    async with running(replace(made, response_headers=True)) as proxy:
        got = await proxy.call(sent)
    assert got.body == said
    assert got.get(b"transfer-encoding") == b"chunked"
    assert got.get(b"content-length") is None


async def test_what_is_no_step_is_not_judged(data_dir: Path, origin: RawOrigin):
    family = FAMILIES["openai_responses"]
    said = family.answer(BAD)
    origin.handler = always(response(said, JSON))
    async with running(governed(data_dir, origin, tool_calls={"mode": "enforce"})) as proxy:  # fmt: skip
        got = await proxy.call(request(b"/openai/v1/responses/resp_1"))
        row = await proxy.only()
    assert (got.status, got.body) == (200, said)
    assert (row.close.verdict_policy, row.close.altered) == ("", ("path_prefix",))


@pytest.mark.parametrize("kind", [b"application/json", b"text/event-stream"])
async def test_what_no_model_says_is_never_held(
    kind: bytes, data_dir: Path, origin: RawOrigin
):
    said = b'data: {"choices": [{"delta": {"tool_calls": [{"function": {"name": "h"}}]}}]}\n\n'  # fmt: skip
    origin.handler = always(response(said, (b"content-type", kind)))
    async with running(governed(data_dir, origin, tool_calls={"mode": "enforce"})) as proxy:  # fmt: skip
        got = await proxy.call(request(b"/t/stream"))
        row = await proxy.only()
    assert (got.body, got.get(b"content-length")) == (said, str(len(said)).encode())
    assert row.close.altered == ("path_prefix",)


async def test_an_answer_that_was_kept_ends_the_connection_of_an_agent_that_still_sends(
    data_dir: Path, origin: RawOrigin
):
    async def early(exchange: Exchange) -> None:
        await exchange.send(response(b"{}", JSON))
        await exchange.read_body()

    origin.eager_body, origin.handler = False, early
    size = (b"Content-Length", b"900000000")
    async with running(governed(data_dir, origin, tool_calls={"mode": "enforce"})) as proxy:  # fmt: skip
        async with await proxy.connect() as agent:
            await agent.send(request(b"/openai/v1/chat/completions", JSON, size, method=b"POST"), b"begun")  # fmt: skip
            got = await agent.response()
        row = await proxy.only()
    assert (got.status, got.body, got.get(b"connection")) == (200, b"{}", b"close")
    assert "held" in row.close.altered
