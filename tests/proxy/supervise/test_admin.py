"""The admin port answers whom it should."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from proxy.config import Address
from proxy.errors import SettingsError
from proxy.supervise.admin import AdminServer, Answers, Guard
from proxy.supervise.listeners import bind

LOOPBACK = Guard(Address("127.0.0.1", 4142))
PUBLIC = Guard(Address("10.1.2.3", 4142), "hunter2-hunter2")
HELD = {"Authorization": "Bearer hunter2-hunter2"}


def test_A01_off_loopback_without_a_token_refuses_to_start():
    with pytest.raises(
        SettingsError,
        match=r"admin.listen: 0.0.0.0:1 is not loopback and needs a token",
    ):
        Guard(Address("0.0.0.0", 1))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:4142", "localhost:9", "localhost", "[::1]:4142", "192.168.1.9:4142"],
)
def test_A02_names_that_cannot_be_rebound_are_answered(host: str):
    assert LOOPBACK.refusal("/status", {"Host": host}) is None


@pytest.mark.parametrize(
    "host", ["attacker.example", "localhost.evil:4142", "", "[::1", "127.0.0.1.evil"]
)
def test_A02_other_names_are_dns_rebinding(host: str):
    refusal = LOOPBACK.refusal("/metrics", {"Host": host})
    assert refusal is not None
    assert refusal[0] == 403


def test_A02_the_configured_name_is_answered():
    guard = Guard(Address("tacho.internal", 4142), "hunter2-hunter2")
    assert guard.refusal("/healthz", {"Host": "Tacho.internal:4142"}) is None


@pytest.mark.parametrize(
    "origin",
    ["http://evil", "null", "http://localhost:4142", "http://[", "https://127.0.0.1"],
)
def test_A02_other_origins_are_refused_even_with_the_token(origin: str):
    headers = {"Host": "127.0.0.1:4142", "Origin": origin, **HELD}
    refusal = PUBLIC.refusal("/status", headers)
    assert refusal is not None
    assert refusal[0] == 403


def test_A02_its_own_origin_is_answered():
    assert (
        LOOPBACK.refusal(
            "/status", {"Host": "127.0.0.1:4142", "Origin": "http://127.0.0.1:4142"}
        )
        is None
    )


@pytest.mark.parametrize(
    "given",
    ["", "Bearer wrong", "Bearer", "Basic hunter2-hunter2", "Bearer h\udcffnter"],
)
def test_A05_off_loopback_the_token_is_required(given: str):
    headers = {"Host": "10.1.2.3:4142", "Authorization": given}
    assert PUBLIC.refusal("/metrics", headers) == (
        401,
        "a token is required: Authorization: Bearer <admin token>",
    )


def test_A05_who_holds_the_token_may_use_any_name():
    assert PUBLIC.refusal("/metrics", {"Host": "tacho.monitoring.svc", **HELD}) is None


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_no_token(path: str):
    assert PUBLIC.refusal(path, {"Host": "10.1.2.3:4142"}) is None


def test_the_token_is_not_shown():
    assert "hunter2" not in repr(PUBLIC)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def status() -> dict[str, Any]:
        return {"version": "1"}

    async def metrics(accept: str) -> tuple[bytes, str]:
        return accept.encode(), "text/plain; version=0.0.4; charset=utf-8"

    async def allow(body: bytes) -> tuple[int, dict[str, Any]]:
        return 409, {"said": body.decode()}

    answers = Answers(
        lambda: (True, {"status": "ok"}),
        lambda: (False, {"ready": False}),
        status,
        metrics,
        allow,
    )
    listener = bind(Address("127.0.0.1", 0), "admin.listen")
    server = AdminServer(listener, LOOPBACK, answers)
    await server.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    await server.close()


async def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, Any, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers) as answer,
    ):
        body = await (
            answer.json()
            if answer.content_type == "application/json"
            else answer.text()
        )
        return answer.status, body, answer.headers


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/healthz", 200, {"status": "ok"}),
        ("/readyz", 503, {"ready": False}),
        ("/status", 200, {"version": "1"}),
    ],
)
async def test_it_answers_in_json(url: str, path: str, status: int, body: object):
    found, said, headers = await ask(url + path)
    assert (found, said) == (status, body)
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


async def test_what_is_posted_is_passed_on_and_answered_with_its_status(url: str):
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/allow", data=b'{"run":"r"}') as answer:
            assert (answer.status, await answer.json()) == (409, {"said": '{"run":"r"}'})  # fmt: skip
        other = {"Origin": "http://evil"}
        async with session.post(f"{url}/allow", data=b"{}", headers=other) as answer:
            assert answer.status == 403


async def test_metrics_are_negotiated(url: str):
    status, body, headers = await ask(
        f"{url}/metrics", Accept="application/openmetrics-text"
    )
    assert (status, body) == (200, "application/openmetrics-text")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_A05_a_wrong_method_is_405(url: str):
    status, body, headers = await ask(f"{url}/metrics", "POST")
    assert (status, body) == (405, {"error": {"message": "POST is not allowed here"}})
    assert headers["Allow"] == "GET, HEAD"


async def test_an_unknown_path_is_404_in_json(url: str):
    status, body, _ = await ask(f"{url}/openai/v1/models")
    assert status == 404
    assert "/metrics" in body["error"]["message"]


async def test_A02_a_foreign_host_header_is_403(url: str):
    status, body, _ = await ask(f"{url}/status", Host="attacker.example")
    assert (status, "Host" in body["error"]["message"]) == (403, True)


async def test_A05_a_missing_token_is_401_and_says_which():
    listener = bind(Address("127.0.0.1", 0), "admin.listen")

    async def never(*_: object) -> Any:
        raise AssertionError("not to be asked")

    guard = Guard(Address("127.0.0.1", 1), "hunter2-hunter2")
    server = AdminServer(
        listener, guard, Answers(lambda: (True, {}), lambda: (True, {}), never, never, never)
    )  # fmt: skip
    await server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = [await ask(f"{url}/status"), await ask(f"{url}/allow", "POST")]
    await server.close()
    assert [(status, headers["WWW-Authenticate"]) for status, _, headers in found] == [(401, "Bearer")] * 2  # fmt: skip
