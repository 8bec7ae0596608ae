"""Answers of our own can be read by every provider's SDK."""

import json
from http import HTTPStatus

import pytest

from proxy.forward.agent import Agent
from proxy.forward.refusals import refuse
from tests.helpers.port import serving
from tests.helpers.wire import Message, request


async def refused(status: int = 404, **more: object) -> Message:
    async def handler(agent: Agent) -> None:
        told = refuse(agent, status, "no_route", "not_found", "do this", **more)  # type: ignore[arg-type]
        assert told == status

    async with serving(handler) as port, await port.connect() as client:
        return await client.call(request(b"/a"))


async def test_one_body_serves_all_families():
    answer = await refused()
    body = json.loads(answer.body)
    message = "tachograph: do this"
    assert body == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "code": "no_route",
            "message": message,
            "param": None,
        },
        "message": message,
    }
    assert answer.get(b"content-type") == b"application/json"
    assert answer.get(b"x-tacho-error") == b"not_found"


@pytest.mark.parametrize("status", [400, 404, 426, 431])
async def test_a_4xx_tells_sdks_not_to_try_again(status: int):
    assert (await refused(status)).get(b"x-should-retry") == b"false"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_5xx_leaves_trying_again_to_the_sdk(status: int):
    answer = await refused(status)
    assert answer.get(b"x-should-retry") is None
    assert answer.reason.decode() == HTTPStatus(status).phrase


async def test_routes_and_headers_are_told_where_there_are_some():
    answer = await refused(
        headers=[("Allow", "GET"), ("Retry-After", "1")], routes=iter(["a", "b"])
    )
    assert json.loads(answer.body)["routes"] == ["a", "b"]
    assert (answer.get(b"allow"), answer.get(b"retry-after")) == (b"GET", b"1")
