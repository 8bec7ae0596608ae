"""No fault of ours in metering, pricing, counting or recording reaches the agent; each is counted."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.arriving import NO_ASK
from proxy.judge.bench import Bench
from proxy.ledger import Ledger
from proxy.meter.dialects import PLAIN_HTTP
from proxy.model import Cost, Usage
from tests.helpers import sse
from tests.helpers.counted import dropped
from tests.helpers.origin import RawOrigin, always
from tests.helpers.pipelines import (
    Piped,
    SlowDisk,
    Told,
    make_desk,
    make_settler,
    make_spool,
    piped,
)
from tests.helpers.proxy import running, settings_for
from tests.helpers.raising import RaisingDialect
from tests.helpers.records import Recorded, read_spool
from tests.helpers.spooled import FaultyDisk, make_open
from tests.helpers.wire import request, response

JSON = (b"Content-Type", b"application/json")
pytestmark = pytest.mark.blocking_allowed  # wiring a pipeline reads the price table


async def spooled(data_dir: Path) -> list[Recorded]:
    exchanges, _ = await asyncio.to_thread(read_spool, data_dir)
    return exchanges


async def called(made: Piped, sent: bytes) -> bytes:
    async with await made.port.connect() as client:
        return (await client.call(sent)).body


async def test_a_disk_that_hangs_costs_a_bounded_wait_and_no_record(
    origin: RawOrigin, data_dir: Path
):
    disk = SlowDisk()
    async with piped(settings_for(data_dir, origin), disk, wait_ms=20) as made:
        assert await called(made, request(b"/t/x")) == b"ok"
        assert made.spool.waits_out == 2
        assert await spooled(data_dir) == []
        disk.go.set()
    (seen,) = await spooled(data_dir)
    assert (seen.open.route, seen.end.outcome) == ("t", "completed")
    assert made.spool.dropped == {}


async def test_a_full_disk_costs_records_which_are_counted_and_no_answer(
    origin: RawOrigin, data_dir: Path
):
    disk = FaultyDisk()
    disk.error = errno.ENOSPC
    async with piped(settings_for(data_dir, origin), disk) as made:
        assert await called(made, request(b"/t/x")) == b"ok"
    assert made.spool.dropped == {"disk_full": 3}
    assert len(made.told.applied) == 1


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("read_request", "meter"),
        ("reader", "meter"),
        ("feed", "meter_incomplete"),
        ("reading", "meter_incomplete"),
    ],
)
async def test_a_dialect_that_raises_is_counted_and_the_bytes_go_on(
    where: str,
    fault: str,
    origin: RawOrigin,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("proxy.meter.dialects.DIALECTS", (RaisingDialect(where),))
    async with piped(settings_for(data_dir, origin)) as made:
        assert await called(made, sse.anthropic_ask()) == b"ok"
        assert made.told.faults == {fault: 1}
    ((opened, _, ended),) = made.told.applied
    assert (opened.operation, opened.kind, opened.is_step) == ("chat", "llm", True)
    assert ended.outcome == "completed"
    assert origin.requests[0].body == sse.anthropic_ask().partition(b"\r\n\r\n")[2]


def _raise(*_: object) -> Any:
    raise RuntimeError("a fault of ours")


@pytest.mark.parametrize(
    ("part", "faults"),
    [("applied", 1), ("under_way", 2), ("noted", 1)],
)
async def test_a_counter_that_raises_is_counted_and_nobody_notices(
    part: str, faults: int, origin: RawOrigin, data_dir: Path
):
    origin.handler = always(
        sse.streamed(
            sse.openai_event(choices=[], model="nobody-knows-this"),
            sse.openai_usage(5, 7),
            sse.OPENAI_DONE,
        ).replace(b"gpt-4o-2024-08-06", b"nobody-knows-this")
    )
    ask = sse.openai_ask(stream_options={"include_usage": True}, model="who")
    replaced: dict[str, Any] = {part: _raise}
    async with piped(settings_for(data_dir, origin), **replaced) as made:
        assert (await called(made, ask)).endswith(sse.OPENAI_DONE)
        assert made.told.faults == {"record": faults}
    (seen,) = await spooled(data_dir)
    assert seen.end.outcome == "completed"
    assert seen.close.cost.source == "assumed"


async def test_a_price_that_raises_costs_the_price_only(
    origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    body = msgspec.json.encode(
        {"model": "nobody-knows-this", "usage": {"prompt_tokens": 5, "completion_tokens": 1}}
    )  # fmt: skip
    origin.handler = always(response(body, JSON))
    settler = make_settler()
    monkeypatch.setattr(settler.book, "price", _raise)
    async with piped(settings_for(data_dir, origin), settler=settler) as made:
        assert await called(made, sse.openai_ask(stream=False)) == body
        assert made.told.faults == {"meter": 1}
    (seen,) = await spooled(data_dir)
    assert seen.end.outcome == "completed"
    assert (seen.close.usage, seen.close.cost) == (Usage(), Cost())


async def test_a_policy_that_raises_lets_the_request(
    origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    origin.handler = always(response(b"{}", JSON))
    monkeypatch.setattr(Bench, "claims", _raise)
    async with running(settings_for(data_dir, origin)) as proxy:
        assert (await proxy.call(sse.openai_ask(stream=False))).body == b"{}"
        assert dropped(proxy.worker)["fault_judge"] == 1


def test_a_reader_of_the_request_that_raises_costs_only_what_it_would_have_said(
    data_dir: Path,
):
    told, spool = Told(), make_spool(data_dir)
    ledger = Ledger(make_desk(spool, told), make_open("a1"), 0.0, NO_ASK, PLAIN_HTTP)
    assert ledger.guarded(_raise, b"") is None
    assert ledger.guarded(len, b"abc") == 3
    spool.close()
    assert told.faults == {"meter": 1}
