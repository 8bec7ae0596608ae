"""A call of an SDK twice, directly and through the proxy, and everything that its user sees.

What lives here: making both calls, sync or async, and comparing the requests as they reached the upstream. What does not: any SDK.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from exporters.enrich.rows import StepRow, step_rows
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.said import BUCKETS

Call = Callable[[Any], Any]
"""Makes a call with a client."""
Seen = dict[str, Any]
"""`result` or `events`, and `error` where one is raised."""


def see(call: Callable[[], Any]) -> Seen:
    seen: Seen = {}
    try:
        result = call()
        if hasattr(result, "model_dump"):
            return {"result": _plain(result)}
        events = seen.setdefault("events", [])
        with result:
            for event in result:
                events.append(_plain(event))
    except Warning:
        raise
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what its user sees
        seen["error"] = _error(error)
    return seen


async def see_async(call: Callable[[], Any]) -> Seen:
    seen: Seen = {}
    try:
        result = await call()
        if hasattr(result, "model_dump"):
            return {"result": _plain(result)}
        events = seen.setdefault("events", [])
        async with result:
            async for event in result:
                events.append(_plain(event))
    except Warning:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        seen["error"] = _error(error)
    return seen


async def see_both(
    client_for: Callable[[str, bool], Any],
    route: str,
    call: Call,
    origin: RawOrigin,
    proxy: Proxy,
    *,
    is_async: bool,
) -> Seen:
    """Make a call without and with the proxy: the same must come of it, and the same must reach the upstream."""

    def sync_call(url: str) -> Seen:
        with client_for(url, False) as client:
            return see(lambda: call(client))

    async def async_call(url: str) -> Seen:
        async with client_for(url, True) as client:
            return await see_async(lambda: call(client))

    seen = []
    for url in (origin.url, f"http://127.0.0.1:{proxy.port}/{route}"):
        if is_async:
            seen.append(await async_call(url))
        else:
            seen.append(await asyncio.to_thread(sync_call, url))
    assert seen[0] == seen[1]
    asked, passed = origin.requests[-2:]
    own = (b"host", b"connection")
    assert (asked.start, asked.body) == (passed.start, passed.body)
    assert asked.without(*own) == passed.without(*own)
    return seen[0]


async def rows_of(proxy: Proxy, count: int) -> list[StepRow]:
    """Give the rows of so many calls, in their order."""
    recorded = await proxy.ended(count)
    return [row for each in recorded for row in step_rows(each.open, each.close, each.end)]  # fmt: skip


def tokens(row: StepRow) -> dict[str, int]:
    """Give the buckets that are not zero."""
    found = {bucket: getattr(row, f"tok_{bucket}") for bucket in BUCKETS}
    return {bucket: count for bucket, count in found.items() if count}


def _plain(model: Any) -> Any:
    return model.model_dump(mode="json", warnings=False)


def _error(error: Exception) -> Seen:
    names = ("status_code", "body", "code")
    said = {name: getattr(error, name, None) for name in names}
    return {"type": type(error), "text": str(error), **said}
