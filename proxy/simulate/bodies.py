"""What every handler does with a request or an answer: the credential, the body, JSON.

What lives here: reading them strictly. What does not: what they mean.
"""

import json
from typing import Any

from aiohttp import web

from proxy.simulate.families.family import dump
from proxy.simulate.question import UnacceptableError

NO_KEY, NOT_FOUND = "no_key", "not_found"
"""Codes of `UnacceptableError` that are not answered with 400."""


def caller(request: web.Request) -> str:
    """Give the credential of a request; raise `UnacceptableError` where there is none."""
    for name in ("authorization", "x-api-key", "api-key", "x-goog-api-key"):
        if found := request.headers.get(name, "").removeprefix("Bearer").strip():
            return found
    if found := request.query.get("key", ""):
        return found
    raise UnacceptableError("No API key provided. Any will do here.", NO_KEY)


async def read_body(request: web.Request) -> dict[str, Any]:
    """Read a JSON object; raise `UnacceptableError`."""
    try:
        body = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError) as error:
        raise UnacceptableError(
            f"We could not parse the JSON body of your request: {error}"
        ) from None
    if not isinstance(body, dict):
        raise UnacceptableError("The body of the request is not a JSON object.")
    return body


def json_answer(body: dict[str, Any]) -> web.Response:
    """Give an answer that is no model's."""
    return web.Response(body=dump(body), content_type="application/json")
