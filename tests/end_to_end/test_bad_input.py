"""What agents and machines get wrong costs a call its place at most: names, bodies, clocks.

What lives here: bad input through a whole worker: what upstream got, what was recorded, what was counted. What does not: HTTP that is
broken (`test_parser_*.py`).
"""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config import RunSettings
from proxy.model import RunSource
from proxy.worker import Worker
from tests.helpers.counted import counted
from tests.helpers.origin import RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import read_spool, until
from tests.helpers.wire import request, response

pytestmark = pytest.mark.blocking_allowed  # reads the spool
BAD = {
    "empty": b"",
    "a space": b"a b",
    "too long": b"x" * 129,
    "a slash": b"a/b",
    "SQL": b"'; DROP TABLE steps --",
    "not ASCII": "Späher".encode(),
    "a control": b"a\tb",
    "no UTF-8": b"\xff\xfe",
}
bad = pytest.mark.parametrize("name", BAD.values(), ids=BAD)
CHAT = b"/openai/v1/chat/completions"


def worker_of(proxy: Proxy) -> Worker:
    assert proxy.worker is not None
    return proxy.worker


def ignored(proxy: Proxy) -> float:
    dropped = counted(worker_of(proxy).telemetry, "tacho_dropped_total")
    return dropped.get(("bad_name",), 0)


@bad
async def test_a_bad_name_in_a_header_is_left_out_and_counted(name, origin, proxy):
    headers = [(b"x-tacho-" + each, name) for each in (b"run", b"session", b"tenant")]
    answer = await proxy.call(request(b"/t/x", *headers))
    assert answer.status == 200
    opened = (await proxy.only()).open
    assert (opened.run_id, opened.session_id, opened.tenant) == ("", "", "default")
    assert opened.run_source is RunSource.NONE
    assert ignored(proxy) == 3


@pytest.mark.parametrize("name", [b"", b"x" * 129, b"\xff\xfe", b"a\tb", "a\u202eb".encode()])  # fmt: skip
async def test_a_bad_name_for_people_to_read_is_left_out_and_counted(name, proxy):
    headers = [(b"x-tacho-" + each, name) for each in (b"agent", b"step-name", b"agent-version")]  # fmt: skip
    await proxy.call(request(b"/t/x", *headers))
    opened = (await proxy.only()).open
    assert (opened.agent, opened.agent_version) == ("", "")
    assert opened.step_name_source != "header"
    assert ignored(proxy) == 3


@bad
async def test_a_bad_name_in_the_path_is_taken_off_it_and_counted(
    name, origin: RawOrigin, proxy: Proxy
):
    quoted = b"".join(b"%%%02x" % each for each in name)
    target = b"/tenant/" + quoted + b"/agent/" + quoted + b"/run/" + quoted + b"/t/x?q"
    assert (await proxy.call(request(target))).status == 200
    assert [each.target for each in origin.requests] == [b"/x?q"]
    opened = (await proxy.only()).open
    assert (opened.tenant, opened.agent, opened.run_id) == ("default", "", "")
    assert ignored(proxy) == 3


NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "text": b"Hello.",
    "cut": b'{"model":"gpt-4o","messages":[{"role":"us',
    "no UTF-8": b'{"messages":[{"role":"user","content":"\xff"}]}',
    "a list": b"[1,2]",
    "a number": b"17",
    "deep": b"[" * 5000,
    "surrogate": b'{"messages":[{"role":"user","content":"\\ud800"}]}',
    "wrong types": b'{"messages":{"role":5},"tools":"x","model":[]}',
    "form": b"messages=1&model=x",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
async def test_a_body_that_is_no_conversation_is_forwarded_as_it_is_and_is_a_step(
    body: bytes, origin: RawOrigin, proxy: Proxy
):
    origin.handler = always(response(b"{}", (b"content-type", b"application/json")))
    for prefix in (b"", b"/run/r1"):
        sent = request(prefix + CHAT, method=b"POST", body=body)
        assert (await proxy.call(sent)).status == 200
    assert [each.body for each in origin.requests] == [body, body]
    alone, named = [each.open for each in await proxy.ended(2)]
    assert (alone.is_step, alone.attempt, named.step_seq) == (True, 0, 1)
    assert (named.run_id, named.run_source) == ("r1", RunSource.EXPLICIT)
    if alone.run_id:  # something of it can be read
        assert body in (NO_JSON["surrogate"], NO_JSON["wrong types"])
    else:
        assert (alone.step_seq, alone.run_source) == (None, RunSource.UNMATCHED)
    assert "fault_identify" not in {each for (each,) in counted(worker_of(proxy).telemetry, "tacho_dropped_total")}  # fmt: skip


YEAR_NS = 365 * 86_400 * 10**9
CLOCKS = {
    "back by a day": [0, -86_400 * 10**9, 0],
    "far ahead and back": [0, 150 * YEAR_NS, 0],
    "ahead at first": [150 * YEAR_NS, 0, 0],
    "before 1970": [-60 * YEAR_NS, 0, -60 * YEAR_NS],
}


@pytest.mark.parametrize("offsets", CLOCKS.values(), ids=CLOCKS)
async def test_clocks_that_jump_give_no_negative_or_endless_durations(
    offsets: list[int], origin: RawOrigin, data_dir: Path
):
    settings = settings_for(data_dir, origin)
    brief = msgspec.structs.replace(settings, runs=RunSettings(idle_seconds=0.3))
    async with running(brief) as proxy:
        for number, offset in enumerate(offsets, 1):
            worker_of(proxy).pipeline._wall_ns = lambda by=offset: time.time_ns() + by  # type: ignore[misc]
            assert (await proxy.call(request(b"/run/r1/t/x"))).status == 200
            await proxy.ended(number)
        await until(lambda: bool(read_spool(data_dir)[1]), "the end of the run")
        await until(lambda: not list(worker_of(proxy)._runs.runs()), "that none lives")
        skewed = counted(worker_of(proxy).telemetry, "tacho_dropped_total").get(("clock_skew",), 0)  # fmt: skip
    exchanges, (event,) = read_spool(data_dir)
    assert sorted(each.open.step_seq or 0 for each in exchanges) == [1, 2, 3]
    for each in exchanges:
        assert 0 <= each.close.duration_us < 60_000_000
        assert each.end.ended_us >= each.open.ts_us
    told: dict[str, Any] = json.loads(event.detail)
    assert 0 <= told["duration_us"] < 2 * 86_400 * 10**6
    if offsets[0] > 0:  # it began in a future that never came
        assert (told["duration_us"], skewed) == (0, 1)
