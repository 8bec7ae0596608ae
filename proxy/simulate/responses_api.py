"""OpenAI's Responses API with a memory: stored answers, conversations, answers made in the background.

What lives here: what is put before a request's own input, and what is kept. What does not: the wire format
(`families/openai_responses.py`), the bounded store itself (`store.py`).
"""

from functools import partial
from typing import Any

from aiohttp import web

from proxy.simulate import tokens
from proxy.simulate.answering import Answering
from proxy.simulate.bodies import NOT_FOUND, caller, json_answer, read_body
from proxy.simulate.families.family import dump, table
from proxy.simulate.families.openai_responses import OpenAIResponses, input_items
from proxy.simulate.ids import hexadecimal
from proxy.simulate.question import Exchange, Question, UnacceptableError
from proxy.simulate.store import Items, Stored

_UNFINISHED: dict[str, Any] = {"output": [], "usage": None}


class ResponsesApi:
    """The handlers of everything below `/v1/responses` and `/v1/conversations`."""

    def __init__(self, answering: Answering, family: OpenAIResponses) -> None:
        self._answering = answering
        self._family = family
        self._engine = answering.engine
        self._store = answering.engine.store

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Answer, and keep the answer unless told otherwise."""
        body = await read_body(request)
        given, question = self._read(body)
        if body.get("background") is True and not question.stream:
            return self._in_background(request, given, question)
        keep = partial(self._keep, given, body)
        return await self._answering.answer(request, self._family, question, keep)

    async def count(self, request: web.Request) -> web.StreamResponse:
        """Count the tokens of a request."""
        _, question = self._read({"model": "any", **await read_body(request)})
        counted = tokens.prompt_tokens([*tokens.segments(question)])
        return json_answer({"object": "response.input_tokens", "input_tokens": counted})

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Give a stored answer, as far as it is finished."""
        stored = self._find(request)
        if self._engine.monotonic() < stored.ready:
            return json_answer(
                {**stored.response, "status": "in_progress", **_UNFINISHED}
            )
        return json_answer(stored.response)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Stop an answer that is made in the background."""
        stored = self._find(request)
        if self._engine.monotonic() < stored.ready:
            stored.response |= {"status": "cancelled", **_UNFINISHED}
            stored.ready = 0.0
        return json_answer(stored.response)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Forget an answer or a conversation."""
        key = request.match_info["id"]
        self._find(request)
        self._store.drop(key)
        kind = "response" if key.startswith("resp_") else "conversation.deleted"
        return json_answer({"id": key, "object": kind, "deleted": True})

    async def items(self, request: web.Request) -> web.StreamResponse:
        """List what an answer was made of, or what a conversation holds, newest first."""
        found = self._find(request).items[::-1][:100]
        ids = [str(item.get("id", "")) for item in found] or [""]
        listed = {"object": "list", "data": found, "has_more": False}
        return json_answer({**listed, "first_id": ids[0], "last_id": ids[-1]})

    async def open_conversation(self, request: web.Request) -> web.StreamResponse:
        """Begin a conversation."""
        body = await read_body(request)
        given = self._identified(input_items({"input": body.get("items") or []}))
        key = f"conv_{hexadecimal(self._engine.next_id())}"
        stored = Stored(
            given,
            {"metadata": table(body.get("metadata"))},
            len(dump(given)),
            0.0,
            int(self._engine.unix()),
        )
        self._store.put(key, stored)
        return json_answer(_conversation(key, stored))

    async def get_conversation(self, request: web.Request) -> web.StreamResponse:
        """Describe a conversation."""
        return json_answer(_conversation(request.match_info["id"], self._find(request)))

    # What is kept

    def _read(self, body: dict[str, Any]) -> tuple[Items, Question]:
        """Read a request and put before it what it continues; give all items as they will be kept."""
        earlier: Items = []
        if key := body.get("previous_response_id"):
            found = self._store.get(str(key))
            if found is None:
                raise UnacceptableError(
                    f"Previous response with id '{key}' not found.",
                    "previous_response_not_found",
                )
            earlier = found.items
        elif key := _conversation_id(body):
            found = self._store.get(key)
            if found is None:
                raise UnacceptableError(
                    f"Conversation with id '{key}' not found.", NOT_FOUND
                )
            earlier = found.items
        given = [*earlier, *self._identified(input_items(body))]
        question = self._family.read({**body, "input": given})
        return given, question

    def _keep(
        self, given: Items, body: dict[str, Any], exchange: Exchange, ready: float = 0.0
    ) -> None:
        response = self._family.whole(exchange)
        held = [*given, *response["output"]]
        size = len(dump(held)) + len(dump(response))
        if body.get("store") is not False:
            self._store.put(response["id"], Stored(held, response, size, ready))
        if (key := _conversation_id(body)) and (found := self._store.get(key)):
            kept = Stored(held, found.response, size, 0.0, found.created)
            self._store.put(key, kept)

    def _in_background(
        self, request: web.Request, given: Items, question: Question
    ) -> web.StreamResponse:
        performance = self._engine.perform(self._family, question, caller(request))
        bill, pace = performance.exchange.bill, self._engine.settings.pace
        seconds = pace.before_first_token(bill, performance.dice) + pace.of_tokens(
            bill.output, performance.dice
        )
        ready = self._engine.monotonic() + performance.slow_seconds + seconds
        self._keep(given, question.body, performance.exchange, ready)
        whole = self._family.whole(performance.exchange)
        return json_answer({**whole, "status": "queued", **_UNFINISHED})

    def _identified(self, given: Items) -> Items:
        """Give messages the ids under which they can be listed."""
        return [
            {
                "id": f"msg_{hexadecimal(self._engine.next_id())}",
                "type": "message",
                **item,
            }
            if item.get("type", "message") == "message"
            else item
            for item in given
        ]

    def _find(self, request: web.Request) -> Stored:
        key = request.match_info["id"]
        found = self._store.get(key)
        if found is None:
            raise UnacceptableError(f"Item with id '{key}' not found.", NOT_FOUND)
        return found


def _conversation_id(body: dict[str, Any]) -> str:
    given = body.get("conversation")
    return (
        str(table(given).get("id") or "")
        if isinstance(given, dict)
        else str(given or "")
    )


def _conversation(key: str, stored: Stored) -> dict[str, Any]:
    return {
        "id": key,
        "object": "conversation",
        "created_at": stored.created,
        "metadata": stored.response["metadata"],
    }
