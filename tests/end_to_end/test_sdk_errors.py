"""What goes wrong at a provider looks to an SDK's user as it would without the proxy, and each attempt leaves one row.

What lives here: refusals, retries, errors inside of streams, cut streams. What does not: faults on raw sockets
(`test_fidelity_faults.py`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.sdk import Seen, answer, ask_by, refusal
from tests.helpers.sse import (
    ANTHROPIC_ERROR,
    anthropic_start,
    anthropic_stream,
    anthropic_text,
    openai_event,
    openai_text,
    streamed,
)
from tests.helpers.wire import STREAM_HEAD, chunk

pytestmark = [
    # An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning"),
]

SDKS = ("openai", "anthropic")
sdks = pytest.mark.parametrize("name", SDKS)
both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])

Twice = Callable[..., Awaitable[Seen]]


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    async with running(settings_for(data_dir, origin, response_headers=True)) as proxy:
        yield proxy


@pytest.fixture
def twice(origin: RawOrigin, proxy: Proxy) -> Twice:
    """Ask directly and through the proxy; check that the same is seen, and give it."""

    async def ask_twice(
        name: str,
        says: Callable[[int], list[bytes]],
        by_chance: bool = False,
        **options: Any,
    ) -> Seen:
        async def handler(exchange: Exchange) -> None:
            *parts, last = says(len(origin.requests))
            await exchange.send(*parts)
            if last == CUT:
                exchange.close()
            elif last == RESET:
                exchange.reset()
            else:
                await exchange.send(last)

        origin.handler = handler
        direct = await ask_by(name, origin.url, **options)
        attempts = len(origin.requests)
        origin.requests.clear()
        proxied = await ask_by(name, f"http://127.0.0.1:{proxy.port}/{name}", **options)
        if by_chance:
            assert _is_of_the_connection(direct)
            assert _is_of_the_connection(proxied)
        else:
            assert proxied == direct
        assert len(origin.requests) == attempts
        return direct

    return ask_twice


def _is_of_the_connection(seen: Seen) -> bool:
    names = {each.__name__ for each in seen["error"]["type"].__mro__}
    return not names.isdisjoint({"TransportError", "APIConnectionError"})


CUT, RESET = b"(FIN)", b"(RST)"


@sdks
@both
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (529, "OverloadedError"),
    ],
)
async def test_a_refusal_raises_what_it_would_raise_and_leaves_one_row(
    name: str, is_async: bool, status: int, error: str, twice: Twice, proxy: Proxy
):
    seen = await twice(name, lambda _: [refusal(name, status)], is_async=is_async)
    expected = "InternalServerError" if (name, status) == ("openai", 529) else error
    assert (seen["error"]["type"].__name__, seen["error"]["request_id"]) == (
        expected,
        "req_7",
    )
    row = await proxy.only()
    assert row.close.http_status == status
    assert row.end.outcome == ("rejected" if status < 500 else "upstream_error")
    assert row.close.request_id == "req_7"
    assert row.close.usage.total() == 0


@sdks
@both
@pytest.mark.parametrize("statuses", [(429,), (500, 429), (529, 500)], ids=str)
async def test_retries_of_the_sdk_succeed_as_they_would_and_each_attempt_is_a_row(
    name: str, is_async: bool, statuses: tuple[int, ...], twice: Twice, proxy: Proxy
):
    def says(number: int) -> list[bytes]:
        return [
            refusal(name, statuses[number - 1])
            if number <= len(statuses)
            else answer(name)
        ]

    seen = await twice(name, says, is_async=is_async, max_retries=2)
    assert "error" not in seen
    rows = await proxy.ended(len(statuses) + 1)
    assert [row.close.http_status for row in rows] == [*statuses, 200]
    assert [row.close.usage.total() for row in rows] == [0] * len(statuses) + [14]


@sdks
@both
async def test_when_all_retries_fail_the_last_error_is_raised_and_each_attempt_is_a_row(
    name: str, is_async: bool, twice: Twice, proxy: Proxy
):
    seen = await twice(
        name, lambda _: [refusal(name, 500)], is_async=is_async, max_retries=2
    )
    assert seen["error"]["status_code"] == 500
    rows = await proxy.ended(3)
    assert [row.end.outcome for row in rows] == ["upstream_error"] * 3


GROQ_ERROR = openai_event(
    error={"type": "server_error", "message": "it broke", "code": "500", "param": None}
)
ERROR_STREAMS = {
    "openai": [openai_text("Hel"), GROQ_ERROR],
    "anthropic": [anthropic_start(25), anthropic_text("Hel"), ANTHROPIC_ERROR],
}


@sdks
@both
async def test_an_error_in_a_stream_raises_what_it_would_raise(
    name: str, is_async: bool, twice: Twice, proxy: Proxy
):
    seen = await twice(
        name, lambda _: [streamed(*ERROR_STREAMS[name])], is_async=is_async, stream=True
    )
    assert issubclass(seen["error"]["type"], openai.APIError | anthropic.APIError)
    assert seen["events"]
    row = await proxy.only()
    assert (row.end.outcome, row.end.error_type) == (
        "upstream_error",
        "error_in_stream",
    )


CUT_STREAMS = {
    "openai": [openai_text("Hel"), openai_text("lo")],
    "anthropic": anthropic_stream("Hel", "lo")[:-2],
}


@sdks
@both
async def test_a_cut_stream_raises_what_it_would_raise(
    name: str, is_async: bool, twice: Twice, proxy: Proxy
):
    parts = [STREAM_HEAD, *(chunk(event) for event in CUT_STREAMS[name]), CUT]
    seen = await twice(name, lambda _: parts, is_async=is_async, stream=True)
    assert _is_of_the_connection(seen)
    await _assert_cut(name, proxy)


@sdks
@both
async def test_a_reset_stream_raises_an_error_of_the_connection_too(
    name: str, is_async: bool, twice: Twice, proxy: Proxy
):
    # How much was read before a RST came, and so the error's exact name, is chance without the proxy, too.
    parts = [STREAM_HEAD, *(chunk(event) for event in CUT_STREAMS[name]), RESET]
    seen = await twice(
        name, lambda _: parts, is_async=is_async, stream=True, by_chance=True
    )
    assert seen["error"]
    await _assert_cut(name, proxy)


async def _assert_cut(name: str, proxy: Proxy) -> None:
    row = await proxy.only()
    source = "estimated" if name == "openai" else "partial"
    assert (row.end.outcome, row.close.usage_source) == ("upstream_abort", source)


@sdks
@both
async def test_a_stream_that_ends_too_early_looks_finished_to_the_sdk_and_is_not_to_us(
    name: str, is_async: bool, twice: Twice, proxy: Proxy
):
    seen = await twice(
        name, lambda _: [streamed(*CUT_STREAMS[name])], is_async=is_async, stream=True
    )
    assert "error" not in seen
    row = await proxy.only()
    assert (row.end.outcome, row.end.error_type) == (
        "upstream_abort",
        "no_terminal_event",
    )
