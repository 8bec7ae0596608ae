"""The holes of the HTTP server that are closed here."""

import pytest

from proxy.forward.agent import Agent
from tests.helpers.port import reply, serving
from tests.helpers.wire import request


@pytest.mark.parametrize(
    "sent",
    [
        b"GET\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: p\r\nA : 1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: p\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["no target", "space before colon", "no length", "TLS hello"],
)
async def test_what_is_not_http_is_answered_400_and_counted_and_not_quoted(sent: bytes):
    async with serving(reply) as port, await port.connect() as client:
        await client.send(sent)
        seen = await client.rest()
        assert port.malformed == {"malformed_request": 1}
    assert seen.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"x-tacho-error: invalid_request" in seen
    assert b"Traceback" not in seen


async def test_a_handler_that_raises_is_answered_500_and_counted_and_not_quoted():
    async def handler(_: Agent) -> None:
        raise RuntimeError("a secret of the installation")

    async with serving(handler) as port, await port.connect() as client:
        answer = await client.call(request(b"/a"))
        assert answer.status == 500
        assert answer.get(b"x-tacho-error") == b"internal"
        assert b"secret" not in client.raw
        assert await client.rest() == b""
        assert port.malformed == {"internal": 1}


async def test_a_head_that_never_ends_is_refused_when_it_is_too_large():
    line = b"A: " + b"x" * 1000 + b"\r\n"
    async with serving(reply) as port, await port.connect() as client:
        await client.send(b"GET /a HTTP/1.1\r\nHost: p\r\n", *[line] * 9)
        seen = await client.rest()
        assert port.malformed == {"head_too_large": 1}
    assert seen.startswith(b"HTTP/1.1 431 ")


async def test_the_size_of_one_head_does_not_count_for_the_next():
    line = b"A: " + b"x" * 3000 + b"\r\n"
    async with serving(reply) as port, await port.connect() as client:
        for _ in range(4):
            answer = await client.call(b"GET /a HTTP/1.1\r\nHost: p\r\n", line, b"\r\n")
            assert answer.status == 200
        assert not port.malformed


async def test_a_request_in_the_middle_of_which_the_agent_leaves_is_nobodys_fault():
    async with serving(reply) as port:
        async with await port.connect() as client:
            await client.send(b"GET /a HTTP/1.1\r\nHo")
            client.finish()
            assert await client.rest() == b""
        assert not port.malformed


async def test_half_a_close_before_the_answer_means_that_the_agent_left():
    reached: list[bytes] = []

    async def handler(agent: Agent) -> None:
        reached.append(agent.target)
        await reply(agent)

    async with serving(handler) as port, await port.connect() as client:
        await client.call(request(b"/a"))
        client.finish()
        assert await client.rest() == b""
    assert reached == [b"/a"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: p\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: p\r\nA: " + b"x" * 9000 + b"\r\n\r\n",
    ],
    ids=["target", "header"],
)
async def test_a_line_too_long_is_said_to_be_too_long(sent: bytes):
    async with serving(reply) as port, await port.connect() as client:
        await client.send(sent)
        seen = await client.rest()
        assert port.malformed == {"head_too_large": 1}
    assert seen.startswith(b"HTTP/1.1 431 ")
    assert b"limits.max_header_line_bytes" in seen
