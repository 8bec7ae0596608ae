"""Reports of outcomes on the data port: who may send them, what is written down, what is answered."""

import asyncio
import errno
import json
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from proxy.config import ClientSettings, Settings, TimeoutSettings
from proxy.recognition import Recognizer
from tests.helpers.origin import RawOrigin, always
from tests.helpers.pipelines import piped
from tests.helpers.proxy import Proxy, assert_is_our_error, running, settings_for
from tests.helpers.records import read_spool
from tests.helpers.spooled import FaultyDisk
from tests.helpers.wire import Message, request, response

SUCCESS = b'{"outcome":"success"}'


def post(target: bytes, body: bytes = SUCCESS, *headers: tuple[bytes, bytes]) -> bytes:
    length = (b"Content-Length", b"%d" % len(body))
    return request(target, length, *headers, method=b"POST") + body


async def test_a_report_becomes_an_event_and_never_goes_upstream(
    proxy: Proxy, origin: RawOrigin, data_dir: Path
):
    body = b'{"outcome":"failure","reason":"no seat","value":2.5}'
    answer = await proxy.call(post(b"/agent/booker/run/R1/outcome", body))
    said = json.loads(answer.body)
    assert answer.status == 202
    assert (said["run"], said["outcome"]) == ("R1", "failure")
    exchanges, (event,) = await asyncio.to_thread(read_spool, data_dir)
    assert not exchanges
    assert not origin.connections
    assert event.event_id == said["event_id"]
    assert (event.type, event.source, event.reason, event.value) == (
        "outcome",
        "reported",
        "failure",
        "2.5",
    )
    assert (event.run_id, event.agent) == ("R1", "booker")
    assert json.loads(event.detail) == {"reason": "no seat"}


async def test_a_report_by_response_is_left_to_be_resolved(
    proxy: Proxy, data_dir: Path
):
    body = b'{"outcome":"success","response_id":"resp_1"}'
    named = (b"x-tacho-run", b"R9")
    answer = await proxy.call(post(b"/tacho/outcome", body, named))
    assert (answer.status, json.loads(answer.body)["response_id"]) == (202, "resp_1")
    _, (event,) = await asyncio.to_thread(read_spool, data_dir)
    assert (event.run_id, json.loads(event.detail)) == ("", {"response_id": "resp_1"})


ANSWER = b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hi."},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
ASKED = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello."}]}'


async def asked(proxy: Proxy, origin: RawOrigin) -> None:
    origin.handler = always(response(ANSWER, (b"content-type", b"application/json")))
    sent = request(b"/run/R1/openai/v1/chat/completions", method=b"POST", body=ASKED)
    assert (await proxy.call(sent)).status == 200


async def test_a_report_by_the_id_of_an_answer_names_its_run(
    proxy: Proxy, origin: RawOrigin, data_dir: Path
):
    await asked(proxy, origin)
    body = b'{"outcome":"success","response_id":"chatcmpl-1"}'
    answer = await proxy.call(post(b"/tacho/outcome", body))
    said = json.loads(answer.body)
    assert (said["run"], said["response_id"]) == ("R1", "chatcmpl-1")
    _, (event,) = await asyncio.to_thread(read_spool, data_dir)
    assert (event.run_id, json.loads(event.detail)) == ("R1", {"response_id": "chatcmpl-1"})  # fmt: skip
    assert proxy.worker is not None
    await proxy.worker._runs.expired(1 << 60)
    (end,) = proxy.worker._book.events(1)
    assert (end.reason, json.loads(end.detail)["outcome_source"]) == ("success", "reported")  # fmt: skip


async def test_a_state_that_cannot_be_asked_leaves_a_report_to_be_resolved(
    proxy: Proxy, origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    async def fail(*_: object) -> NoReturn:
        raise ConnectionError

    await asked(proxy, origin)
    monkeypatch.setattr(Recognizer, "run_of_answer", fail)
    body = b'{"outcome":"success","response_id":"chatcmpl-1"}'
    assert (await proxy.call(post(b"/tacho/outcome", body))).status == 202
    _, (event,) = await asyncio.to_thread(read_spool, data_dir)
    assert event.run_id == ""


async def test_a_connection_goes_on_after_a_report(proxy: Proxy):
    async with await proxy.connect() as client:
        for run in (b"R1", b"R2"):
            await client.send(post(b"/run/%b/outcome" % run))
            assert (await client.response()).status == 202


REFUSED = {
    "bad body": (post(b"/run/R1/outcome", b"{}"), 400, "invalid_request"),
    "method": (request(b"/run/R1/outcome"), 405, "invalid_request"),
    "too large": (post(b"/run/R1/outcome", b" " * 4097), 413, "too_large"),
    "bad run": (post(b"/run/no%20good/outcome"), 400, "invalid_request"),
}


@pytest.mark.parametrize(("sent", "status", "error"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_report_is_refused_and_leaves_a_row(
    sent: bytes, status: int, error: str, proxy: Proxy, data_dir: Path
):
    assert_is_our_error(await proxy.call(sent), status, error)
    (seen,), events = await asyncio.to_thread(read_spool, data_dir)
    assert (seen.end.outcome, seen.open.run_id, events) == ("blocked", "", [])


async def test_a_body_of_unknown_length_is_bounded_too(proxy: Proxy):
    head = request(
        b"/run/R1/outcome", (b"Transfer-Encoding", b"chunked"), method=b"POST"
    )
    sent = head + b"1100\r\n" + b" " * 0x1100 + b"\r\n0\r\n\r\n"
    assert_is_our_error(await proxy.call(sent), 413, "too_large")


async def test_a_body_that_breaks_http_is_refused(proxy: Proxy):
    async with await proxy.connect() as client:
        await client.send(
            request(
                b"/run/R1/outcome", (b"Transfer-Encoding", b"chunked"), method=b"POST"
            )
        )
        await client.send(b"zz\r\n")
        assert_is_our_error(await client.response(), 400, "invalid_request")


@pytest.mark.blocking_allowed  # wiring a pipeline reads the price table
async def test_a_body_that_does_not_come_is_given_up(origin: RawOrigin, data_dir: Path):
    times = TimeoutSettings(body_idle_seconds=0.1)
    settings = settings_for(data_dir, origin, timeouts=times)
    async with piped(settings) as pipe, await pipe.port.connect() as client:
        await client.send(post(b"/run/R1/outcome")[:-1])
        assert_is_our_error(await client.response(), 408, "body_timeout")


async def test_a_reporter_that_leaves_gets_no_event(proxy: Proxy, data_dir: Path):
    async with await proxy.connect() as client:
        await client.send(post(b"/run/R1/outcome")[:-1])
    assert (await proxy.call(post(b"/run/R2/outcome"))).status == 202
    _, events = await asyncio.to_thread(read_spool, data_dir)
    assert [event.run_id for event in events] == ["R2"]


def keyed(settings: Settings) -> Settings:
    clients = {
        "one": ClientSettings(key_env="KEY_ONE", tenant="acme"),
        "two": ClientSettings(key_env="KEY_TWO", tenant="other"),
    }
    return msgspec.structs.replace(settings, clients=clients)


async def test_the_client_key_decides_whose_run_it_is(
    origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    keys = {"KEY_ONE": "one-" + "x" * 32, "KEY_TWO": "two-" + "y" * 32}
    for name, key in keys.items():
        monkeypatch.setenv(name, key)

    async def report(proxy: Proxy, name: bytes, key: str) -> Message:
        return await proxy.call(
            post(b"/tenant/mine/run/R1/outcome", SUCCESS, (name, key.encode()))
        )

    async with running(keyed(settings_for(data_dir, origin))) as proxy:
        assert (await report(proxy, b"x-tacho-key", keys["KEY_ONE"])).status == 202
        slot = await report(proxy, b"authorization", f"Bearer {keys['KEY_TWO']}")
        assert slot.status == 202
        unknown = await report(proxy, b"x-tacho-key", "nobody's")
        assert_is_our_error(unknown, 401, "auth")
        assert_is_our_error(await proxy.call(post(b"/run/R1/outcome")), 401, "auth")
        _, events = await asyncio.to_thread(read_spool, data_dir)
    assert [event.tenant for event in events] == ["acme", "other"]


@pytest.mark.blocking_allowed  # wiring a pipeline reads the price table
async def test_a_report_that_cannot_be_written_is_not_acknowledged(
    origin: RawOrigin, data_dir: Path
):
    disk = FaultyDisk()
    disk.error = errno.ENOSPC
    async with (
        piped(settings_for(data_dir, origin), disk, 200) as pipe,
        await pipe.port.connect() as client,
    ):
        await client.send(post(b"/run/R1/outcome"))
        assert_is_our_error(await client.response(), 503, "disk")


@pytest.mark.blocking_allowed  # wiring a pipeline reads the price table
async def test_a_fault_of_ours_is_answered_and_counted(
    origin: RawOrigin, data_dir: Path
):
    def noted(event: object) -> None:
        raise ValueError(event)

    async with (
        piped(settings_for(data_dir, origin), noted=noted) as pipe,
        await pipe.port.connect() as client,
    ):
        await client.send(post(b"/run/R1/outcome"))
        assert_is_our_error(await client.response(), 500, "internal")
        assert pipe.told.faults == {"record": 1}
