"""Which path is answered how.

What lives here: the table of routes, and the translation of refused requests. What does not: answers of models
(`answering.py`), what the Responses API keeps (`responses_api.py`).
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.simulate import tokens
from proxy.simulate.answering import Answering
from proxy.simulate.bodies import NO_KEY, NOT_FOUND, caller, json_answer, read_body
from proxy.simulate.families import catalogue
from proxy.simulate.families.anthropic_messages import AnthropicMessages
from proxy.simulate.families.anthropic_requests import read_question
from proxy.simulate.families.family import Family, table
from proxy.simulate.families.gemini import Gemini
from proxy.simulate.families.openai_chat import OpenAIChat
from proxy.simulate.families.openai_responses import OpenAIResponses
from proxy.simulate.pointing import pointing
from proxy.simulate.question import Refusal, UnacceptableError
from proxy.simulate.responses_api import ResponsesApi

CHAT, RESPONSES, MESSAGES, GEMINI = (
    OpenAIChat(),
    OpenAIResponses(),
    AnthropicMessages(),
    Gemini(),
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_GEMINI_PATH = "/{version:v1|v1beta|v1alpha}/models"


def routes(answering: Answering) -> list[web.RouteDef]:
    """Give all routes of a provider."""
    site = _Site(answering)
    responses = ResponsesApi(answering, RESPONSES)
    guarded = site.guarded
    return [
        web.get("/", site.root),
        web.post("/v1/chat/completions", guarded(CHAT, site.chat)),
        web.post("/v1/embeddings", guarded(CHAT, site.embeddings)),
        web.post("/v1/responses", guarded(RESPONSES, responses.create)),
        web.post("/v1/responses/input_tokens", guarded(RESPONSES, responses.count)),
        web.get("/v1/responses/{id}", guarded(RESPONSES, responses.get)),
        web.delete("/v1/responses/{id}", guarded(RESPONSES, responses.delete)),
        web.post("/v1/responses/{id}/cancel", guarded(RESPONSES, responses.cancel)),
        web.get("/v1/responses/{id}/input_items", guarded(RESPONSES, responses.items)),
        web.post("/v1/conversations", guarded(RESPONSES, responses.open_conversation)),
        web.get(
            "/v1/conversations/{id}", guarded(RESPONSES, responses.get_conversation)
        ),
        web.delete("/v1/conversations/{id}", guarded(RESPONSES, responses.delete)),
        web.get("/v1/conversations/{id}/items", guarded(RESPONSES, responses.items)),
        web.post("/v1/messages", guarded(MESSAGES, site.messages)),
        web.post("/v1/messages/count_tokens", guarded(MESSAGES, site.count_tokens)),
        web.get("/v1/models", guarded(CHAT, site.models)),
        web.get("/v1/models/{id}", guarded(CHAT, site.models)),
        web.get(_GEMINI_PATH, guarded(GEMINI, site.gemini_models)),
        web.get(_GEMINI_PATH + "/{id}", guarded(GEMINI, site.gemini_models)),
        web.post(_GEMINI_PATH + "/{id}:{method}", guarded(GEMINI, site.gemini)),
        web.route("*", "/{path:.*}", site.nothing),
    ]


class _Site:
    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    def guarded(self, family: Family, handler: Handler) -> Handler:
        """Answer what cannot be accepted with 400, or 401, in the family's shape."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                caller(request)
                return await handler(request)
            except UnacceptableError as error:
                status = {NO_KEY: 401, NOT_FOUND: 404}.get(error.code or "", 400)
                code = error.code if status == 400 else None
                return self._answering.refuse(
                    request, family, Refusal(status, str(error), False, code)
                )
            except web.HTTPRequestEntityTooLarge as error:
                return self._answering.refuse(
                    request, family, Refusal(413, error.text or "too large")
                )

        return handle

    async def root(self, request: web.Request) -> web.Response:
        return web.Response(text=pointing(f"http://{request.host}"))

    async def nothing(self, request: web.Request) -> web.Response:
        message = f"Invalid URL ({request.method} {request.path})"
        return self._answering.refuse(request, CHAT, Refusal(404, message))

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request)
        return await self._answering.answer(request, CHAT, CHAT.read(body))

    async def messages(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request)
        return await self._answering.answer(request, MESSAGES, MESSAGES.read(body))

    async def count_tokens(self, request: web.Request) -> web.StreamResponse:
        question = read_question(await read_body(request), limited=False)
        counted = tokens.prompt_tokens([*tokens.segments(question)])
        return json_answer({"input_tokens": counted})

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        return json_answer(catalogue.openai_embeddings(await read_body(request)))

    async def models(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("id")
        if "anthropic-version" in request.headers:
            return json_answer(
                catalogue.anthropic_model(name)
                if name
                else catalogue.anthropic_models()
            )
        if "x-goog-api-key" in request.headers:
            return await self.gemini_models(request)
        return json_answer(
            catalogue.openai_model(name) if name else catalogue.openai_models()
        )

    async def gemini_models(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("id")
        return json_answer(
            catalogue.gemini_model(name) if name else catalogue.gemini_models()
        )

    async def gemini(self, request: web.Request) -> web.StreamResponse:
        model, method = request.match_info["id"], request.match_info["method"]
        body = await read_body(request)
        if method in ("generateContent", "streamGenerateContent"):
            body |= {"model": model, "stream": method.startswith("stream")}
            return await self._answering.answer(request, GEMINI, GEMINI.read(body))
        if method == "countTokens":
            inner = table(body.get("generateContentRequest")) or body
            counted = tokens.segments(GEMINI.read({**inner, "model": model}))
            return json_answer({"totalTokens": tokens.prompt_tokens([*counted])})
        if method == "embedContent":
            return json_answer(catalogue.gemini_embedding(model, body))
        if method == "batchEmbedContents":
            return json_answer(catalogue.gemini_embeddings(model, body))
        raise UnacceptableError(f"models/{model} does not know {method}", NOT_FOUND)
