"""One proxy process: start, probes, reload, drain, and what outlives it."""

import asyncio
import json
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.accept.ids import uuid7
from proxy.config import LimitSettings, RouteSettings, Settings
from proxy.config.structs import TlsListener
from proxy.errors import StartError
from proxy.meter.prices import PriceTable
from proxy.model import Cost
from proxy.pricing import table_path
from proxy.record import framing
from proxy.telemetry import Family
from proxy.worker import Worker
from tests.helpers import sse
from tests.helpers.client import RawClient
from tests.helpers.counted import attempts, counted, dropped
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, process, running, settings_for
from tests.helpers.records import until
from tests.helpers.tls import CERTIFICATE, KEY, client_context
from tests.helpers.wire import WAIT_SECONDS, request, response

JSON = (b"Content-Type", b"application/json")
CHAT = json.dumps(
    {"model": "gpt-4o", "usage": {"prompt_tokens": 5, "completion_tokens": 1}}
).encode()


def worker_of(proxy: Proxy) -> Worker:
    assert proxy.worker is not None
    return proxy.worker


def unstarted(settings: Settings) -> Worker:
    """Make a worker that lets go of its spool again."""
    worker = Worker(settings, "w0", [])
    worker.spool.start()
    worker.spool.close()
    return worker


async def test_a_worker_is_ready_when_it_serves_and_says_what_it_does(
    origin: RawOrigin, proxy: Proxy
):
    await proxy.call(request(b"/t/x"))
    probes = worker_of(proxy).probes()
    assert (probes.ready(), *probes.health()) == (True, True, {"degraded": []})
    status: Any = probes.status()
    assert (status["inflight"], status["spool_trouble"], status["dropped"]) == (
        0,
        "",
        {},
    )
    assert status["incarnation"] == worker_of(proxy).spool.directory.name
    families = msgspec.msgpack.decode(probes.metrics(), type=list[Family])
    assert "tacho_attempts_total" in {family.name for family in families}


@pytest.mark.blocking_allowed  # makes a worker
async def test_a_worker_that_has_not_started_is_not_ready(data_dir: Path):
    assert not unstarted(Settings(data_dir=str(data_dir))).probes().ready()


async def test_a_full_spool_is_a_degraded_worker_that_serves(
    origin: RawOrigin, data_dir: Path
):
    settings = settings_for(data_dir, origin)
    full = msgspec.structs.replace(settings.spool, max_bytes=1)
    async with running(msgspec.structs.replace(settings, spool=full)) as proxy:
        assert (await proxy.call(request(b"/t/x"))).body == b"ok"
        probes = worker_of(proxy).probes()
        assert probes.health() == (True, {"degraded": ["spool: size_cap"]})
        spool = worker_of(proxy).spool
        await until(lambda: spool.dropped == {"size_cap": 5}, "all are dropped")
        probes.metrics()
        assert dropped(proxy.worker)["size_cap"] == 5


async def test_counters_go_on_where_the_last_worker_stopped(
    origin: RawOrigin, data_dir: Path
):
    counts, seqs = [], list[int | None]()
    for calls in (1, 2, 3):
        async with running(settings_for(data_dir, origin)) as proxy:
            await proxy.call(request(b"/run/r1/t/x"))
            seqs = [each.open.step_seq for each in await proxy.ended(calls)]
        counts.append(attempts(proxy.worker))
    assert counts == [{("t", "completed"): calls} for calls in (1, 2, 3)]
    assert sorted(seq or 0 for seq in seqs) == [1, 2, 3]


async def test_what_was_lost_of_a_dead_worker_is_counted(
    origin: RawOrigin, data_dir: Path
):
    async with running(settings_for(data_dir, origin)) as proxy:
        await proxy.call(request(b"/t/x"))
    checkpoint = worker_of(proxy).spool.directory / "checkpoint"
    saved = msgspec.msgpack.decode(await asyncio.to_thread(checkpoint.read_bytes))
    saved["state"] = "none"
    data = msgspec.msgpack.encode(saved)
    await asyncio.to_thread(checkpoint.write_bytes, data)
    async with running(settings_for(data_dir, origin)) as proxy:
        assert dropped(proxy.worker)["recovery_checkpoint"] == 1


async def test_a_background_response_that_is_asked_for_twice_is_counted_once(
    origin: RawOrigin, proxy: Proxy
):
    def said(status: str, **more: Any) -> bytes:
        body = {"id": "resp_1", "object": "response", "status": status, "model": "gpt-4o", "background": True}  # fmt: skip
        return response(json.dumps({**body, **more}).encode(), JSON)

    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    origin.handler = always(said("queued", usage=None, output=[]))
    ask = b'{"model":"gpt-4o","input":"hi","background":true}'
    await proxy.call(sse.post(b"/openai/v1/responses", ask))
    origin.handler = always(said("completed", usage=usage, output=[]))
    for _ in range(2):
        await proxy.call(request(b"/openai/v1/responses/resp_1"))
    created, first, second = (each.close for each in await proxy.ended(3))
    assert created.usage_source == second.usage_source == "none"
    assert (first.usage.input, first.usage.output) == (7, 3)
    tokens = counted(worker_of(proxy).telemetry, "tacho_tokens_total")
    assert sum(tokens.values()) == 10


async def test_a_response_that_was_billed_before_a_restart_is_not_billed_again(
    origin: RawOrigin, data_dir: Path
):
    body = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4o",
            "usage": {"input_tokens": 7, "output_tokens": 3}}  # fmt: skip
    origin.handler = always(response(json.dumps(body).encode(), JSON))
    sources: list[str] = []
    for calls in (1, 2):
        async with running(settings_for(data_dir, origin)) as proxy:
            await proxy.call(request(b"/openai/v1/responses/resp_1"))
            sources = [each.close.usage_source for each in await proxy.ended(calls)]
    assert sorted(sources) == ["none", "provider"]


async def test_an_unknown_model_is_counted_at_the_assumed_price(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = always(response(CHAT.replace(b"gpt-4o", b"mystery"), JSON))
    await proxy.call(sse.openai_ask(stream=False, model="mystery"))
    assert (await proxy.only()).close.cost.source == "assumed"
    events = counted(worker_of(proxy).telemetry, "tacho_events_total")
    assert {labels[-1]: value for labels, value in events.items()} == {"price": 1}


async def test_names_that_are_not_valid_and_requests_that_are_no_http_are_counted(
    proxy: Proxy,
):
    await proxy.call(request(b"/t/x", (b"x-tacho-run", b"no good")))
    async with await proxy.connect() as client:
        await client.send(b"no http\r\n\r\n")
        await client.rest()
    found = dropped(proxy.worker)
    assert (found["bad_name"], found["malformed_request"]) == (1, 1)


async def test_a_fault_of_ours_is_counted_and_logged(
    origin: RawOrigin, proxy: Proxy, caplog: pytest.LogCaptureFixture
):
    worker = worker_of(proxy)
    worker.pipeline.snapshot.limits.clear()
    with caplog.at_level(logging.ERROR, "tacho.worker"):
        assert (await proxy.call(request(b"/t/x"))).status == 500
    assert dropped(worker)["fault_forward"] == 1
    assert [record.getMessage() for record in caplog.records] == ["fault"]


async def test_a_checkpoint_that_cannot_be_written_is_counted_and_nothing_stops(
    origin: RawOrigin, data_dir: Path
):
    async with running(settings_for(data_dir, origin)) as proxy:
        incarnation = worker_of(proxy).spool.directory
        await asyncio.to_thread((incarnation / ".checkpoint.tmp").mkdir)
        assert (await proxy.call(request(b"/t/x"))).body == b"ok"
    assert dropped(proxy.worker)["checkpoint"] == 1


async def test_the_port_is_free_as_soon_as_a_worker_stops(
    origin: RawOrigin, data_dir: Path
):
    async with running(settings_for(data_dir, origin)) as proxy:
        pass
    with pytest.raises(ConnectionRefusedError):
        await proxy.connect()


async def test_the_data_port_speaks_tls_with_the_certificate_of_the_settings(
    origin: RawOrigin, data_dir: Path
):
    tls = TlsListener(CERTIFICATE, KEY)
    context = await asyncio.to_thread(client_context)
    async with running(settings_for(data_dir, origin, listen_tls=tls)) as proxy:
        reader, writer = await asyncio.open_connection(
            "localhost", proxy.port, ssl=context, family=socket.AF_INET
        )
        client = RawClient(reader, writer)  # type: ignore[arg-type]
        assert (await client.call(request(b"/t/x"))).body == b"ok"
        writer.close()


async def settings_file(path: Path, origin: RawOrigin, name: str = "new") -> str:
    text = f"routes:\n  {name}: {{url: '{origin.url}', kind: tool}}\n"
    await asyncio.to_thread(path.write_text, text)
    return str(path)


@pytest.mark.blocking_allowed  # a reload reads a file, as it does in the worker
async def test_a_reload_takes_new_routes(
    origin: RawOrigin, proxy: Proxy, tmp_path: Path
):
    worker = worker_of(proxy)
    worker.reload(await settings_file(tmp_path / "new.yaml", origin))
    assert (await proxy.call(request(b"/new/x"))).body == b"ok"
    assert (await proxy.call(request(b"/t/x"))).status == 404
    assert counted(worker.telemetry, "tacho_config_reload_success") == {(): 1}


BAD = ["routes: [", "nonsense: 1", "routes: {r: {url: 'ftp://x'}}", "clients: {c: {key_env: NOT_SET}}", "prices: [{model: mine, rates: {cache_read: 1}}]"]  # fmt: skip


@pytest.mark.blocking_allowed  # as above
@pytest.mark.parametrize("text", BAD, ids=["syntax", "key", "url", "variable", "price"])
async def test_a_bad_file_keeps_the_old_routes_and_is_told(
    text: str, proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "bad.yaml").write_text(text)
    worker = worker_of(proxy)
    worker.reload(str(tmp_path / "bad.yaml"))
    assert (await proxy.call(request(b"/t/x"))).body == b"ok"
    assert counted(worker.telemetry, "tacho_config_reload_success") == {}
    assert [record.getMessage() for record in caplog.records] == ["reload_refused"]


@pytest.mark.blocking_allowed  # as above
async def test_a_reload_takes_new_prices_and_a_broken_table_keeps_the_old_one(
    origin: RawOrigin, data_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    origin.handler = always(response(CHAT, JSON))
    table = table_path(str(data_dir))
    table.parent.mkdir(parents=True)
    model = {"id": "gpt-new", "is": "*gpt-4o", "prices": [{"usd": {"input": "1"}}]}
    new = {"version": "v2", "instead_of": PriceTable.load().version,
           "providers": [{"id": "openai", "models": [model]}]}  # fmt: skip
    rules = tmp_path / "rules.yaml"
    async with running(settings_for(data_dir, origin)) as proxy:
        routes = f"routes: {{openai: {{url: '{origin.url}'}}}}"
        said: list[Cost] = []
        for data, text in (
            (json.dumps(new), routes),
            ("broken", f"{routes}\nprices: [{{multiply: 3}}]"),
        ):
            table.write_text(data)
            rules.write_text(text)
            worker_of(proxy).reload(str(rules))
            await proxy.call(sse.openai_ask(stream=False))
            seen = await proxy.ended(len(said) + 1)
            said.append(seen[-1].close.cost)
        labels = counted(worker_of(proxy).telemetry, "tacho_config_reload_success")
    assert [cost.input for cost in said] == [5 * 10**6, 15 * 10**6]
    assert said[0].price_version == "v2"
    assert said[1].price_version.startswith("v2+")
    assert labels == {(): 1}
    assert [record.getMessage() for record in caplog.records] == ["price_table_refused"]


@pytest.mark.blocking_allowed  # as above
async def test_a_call_under_way_keeps_the_prices_that_it_began_with(
    origin: RawOrigin, data_dir: Path, tmp_path: Path
):
    reached, go = asyncio.Event(), asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        reached.set()
        await go.wait()
        await exchange.send(response(CHAT, JSON))

    origin.handler = handler
    rules = tmp_path / "rules.yaml"
    routes = f"routes: {{openai: {{url: '{origin.url}'}}}}"
    rules.write_text(f"{routes}\nprices: [{{multiply: 2}}]")
    async with running(settings_for(data_dir, origin)) as proxy:
        async with asyncio.TaskGroup() as group:
            group.create_task(proxy.call(sse.openai_ask(stream=False)))
            await reached.wait()
            worker_of(proxy).reload(str(rules))
            go.set()
        await proxy.call(sse.openai_ask(stream=False))
        first, second = [each.close.cost for each in await proxy.ended(2)]
    assert first.input is not None
    assert second.input == 2 * first.input


@pytest.mark.blocking_allowed  # as above
async def test_a_reload_leaves_what_needs_a_restart(
    origin: RawOrigin, proxy: Proxy, tmp_path: Path
):
    worker = worker_of(proxy)
    before = worker.settings
    worker.reload(await settings_file(tmp_path / "new.yaml", origin))
    assert worker.settings.data_dir == before.data_dir
    assert worker.settings.limits == before.limits


@pytest.mark.blocking_allowed  # as above
async def test_a_process_reloads_the_file_that_it_was_started_with(
    origin: RawOrigin, data_dir: Path
):
    settings = settings_for(data_dir, origin)
    async with process(settings) as proxy:
        assert (await proxy.call(request(b"/new/x"))).status == 404
        routes = {**settings.routes, "new": RouteSettings(origin.url, "tool")}
        changed = msgspec.structs.replace(settings, routes=routes)
        (data_dir.parent / "settings.yaml").write_bytes(msgspec.json.encode(changed))
        os.kill(proxy.pid, signal.SIGHUP)
        statuses = [(await proxy.call(request(b"/new/x"))).status]
        async with asyncio.timeout(WAIT_SECONDS):
            while statuses[-1] == 404:
                statuses.append((await proxy.call(request(b"/new/x"))).status)
        assert statuses[-1] == 200
        assert (await proxy.call(request(b"/t/x"))).body == b"ok"


async def test_a_process_that_is_told_to_stop_lets_its_calls_end(
    origin: RawOrigin, data_dir: Path
):
    go = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await go.wait()
        await exchange.send(response(b"ok"))

    origin.handler = hold
    async with (
        process(settings_for(data_dir, origin)) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request(b"/t/x"))
        await until(lambda: bool(origin.requests), "the call is under way")
        os.kill(proxy.pid, signal.SIGTERM)
        go.set()
        assert (await client.response()).body == b"ok"
    assert (await proxy.only()).end.outcome == "completed"


def test_a_series_cap_of_the_settings_bounds_the_counters(data_dir: Path):
    settings = Settings(data_dir=str(data_dir), limits=LimitSettings(max_series=1234))
    worker = unstarted(settings)
    assert worker.telemetry.admits(1, reserve=True)
    assert not worker.telemetry.admits(1234, reserve=True)


def test_a_spool_of_a_newer_version_refuses_the_start_and_is_left_alone(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    newer = data_dir / "spool" / "w0" / uuid7(0, 0)
    newer.mkdir(parents=True)
    with monkeypatch.context() as future:
        future.setattr(framing, "FORMAT_VERSION", framing.FORMAT_VERSION + 1)
        written = framing.header(bytes(16), 1)
    (newer / "00000001.seg").write_bytes(written)
    with pytest.raises(StartError, match="use the newer version"):
        Worker(Settings(data_dir=str(data_dir)), "w0", [])
    assert (newer / "00000001.seg").read_bytes() == written


@pytest.mark.blocking_allowed  # as above
async def test_a_reload_takes_new_names_of_agents(
    origin: RawOrigin, proxy: Proxy, tmp_path: Path
):
    origin.handler = always(response(CHAT, JSON))
    messages = [{"role": "system", "content": "You are a tax adviser."}]
    body = json.dumps({"model": "gpt-4o", "messages": messages}).encode()
    asked = request(b"/openai/v1/chat/completions", JSON, method=b"POST", body=body)
    await proxy.call(asked)
    path = tmp_path / "names.yaml"
    routes = f"routes: {{openai: {{url: '{origin.url}'}}}}"
    path.write_text(f"{routes}\nagents: {{rename: {{tax-adviser: taxes}}}}")
    worker_of(proxy).reload(str(path))
    await proxy.call(asked)
    seen = await proxy.ended(2)
    assert [each.open.agent for each in seen] == ["tax-adviser", "taxes"]
