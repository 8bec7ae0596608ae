"""What a generateContent answer says, whole or chunk by chunk.

What lives here: the members of the answer, calls whose arguments are streamed, words that are written as numbers. What does not:
framing (`gemini_reader`), the arithmetic of its usage (`gemini_usage`), requests and paths (`dialects/gemini_generate`).
"""

import re
from typing import Any

import msgspec

from proxy.meter import gemini_usage, lenient
from proxy.meter.draft import MAX_ARGUMENT_BYTES, CallDraft, Draft

_FINISH_REASONS = (
    "",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "UNEXPECTED_TOOL_CALL",
    "NO_IMAGE",
)
"""Vertex's numbers: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1beta1"""

_BLOCK_REASONS = ("", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT")

_UNSPECIFIED = ("", "FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED")

_FINISHES_EVERY_CHUNK = re.compile(r"gemini-(?:1\D|pro)")
"""Models of 2024 gave a finish reason with each chunk: only the end of the body tells that these have ended."""


class _Call(msgspec.Struct):
    id: Any = None
    name: Any = None
    args: msgspec.Raw = msgspec.Raw()
    pieces: Any = msgspec.field(name="partialArgs", default=None)


class _Code(msgspec.Struct):
    code: Any = None


class _Part(msgspec.Struct):
    text: Any = None
    thought: Any = None
    call: _Call | None = msgspec.field(name="functionCall", default=None)
    code: _Code | None = msgspec.field(name="executableCode", default=None)
    media: msgspec.Raw = msgspec.field(name="inlineData", default=msgspec.Raw())


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Grounding(msgspec.Struct):
    web: Any = msgspec.field(name="webSearchQueries", default=None)
    image: Any = msgspec.field(name="imageSearchQueries", default=None)


class _Candidate(msgspec.Struct):
    index: Any = None
    content: _Content | None = None
    finish_reason: Any = msgspec.field(name="finishReason", default=None)
    grounding: _Grounding | None = msgspec.field(name="groundingMetadata", default=None)


class _Feedback(msgspec.Struct):
    block_reason: Any = msgspec.field(name="blockReason", default=None)


class _Answer(msgspec.Struct):
    response_id: Any = msgspec.field(name="responseId", default=None)
    model: Any = msgspec.field(name="modelVersion", default=None)
    candidates: list[_Candidate] | None = None
    feedback: _Feedback | None = msgspec.field(name="promptFeedback", default=None)
    usage: msgspec.Raw = msgspec.field(name="usageMetadata", default=msgspec.Raw())
    error: msgspec.Raw = msgspec.Raw()


_ANSWER = msgspec.json.Decoder(_Answer)


class GeminiAnswer:
    """The `Family` of generateContent; holds the state of one answer."""

    def __init__(self, model: str, choices: int, status: int) -> None:
        """`model` is the one that was asked for, `choices` the number of candidates."""
        self.draft = Draft(status)
        self.finished = False
        """All candidates have a finish reason, but perhaps their tokens are still to be counted."""
        self._model = model
        self._choices = choices
        self._seen: set[int] = set()
        self._unfinished: set[Any] = set()
        self._queries: set[str] = set()
        self._call: _Arguments | None = None
        self._argument_bytes = 0

    def plain(self, line: bytes) -> bool:
        """See `Family`."""
        return False

    def event(self, name: bytes, data: bytes) -> None:
        """See `Family`."""
        if data.startswith(b"[DONE]"):
            return
        counted = self._take(lenient.load(_ANSWER, data))
        model = self.draft.model or self._model
        if not (counted and self.finished) or _FINISHES_EVERY_CHUNK.match(model):
            return
        # Candidates may come one after the other; a prompt that was blocked has none.
        self.draft.terminal = len(self._seen) >= self._choices or not self._seen

    def document(self, body: bytes) -> None:
        """See `Family`."""
        self._take(lenient.load(_ANSWER, body))
        self.settle()

    def settle(self) -> None:
        """Write out the arguments that came in pieces; called before a reading, for with each piece it would cost their square."""
        if self._call is not None:
            self._call.settle()

    def _take(self, said: _Answer) -> bool:
        """Take a chunk; say whether tokens were counted in it."""
        draft = self.draft
        draft.identify(said.response_id, said.model)
        candidates = said.candidates or ()
        places = {lenient.count(each.index) or 0 for each in candidates}
        self._unfinished |= places
        self._seen |= places
        for candidate in candidates:
            self._take_candidate(candidate)
        if said.feedback is not None:
            self._finish(_word(said.feedback.block_reason, _BLOCK_REASONS))
        counted = self._take_usage(said.usage)
        if error := lenient.value(said.error):
            draft.fail(error)
        return counted

    def _take_candidate(self, said: _Candidate) -> None:
        for part in (said.content and said.content.parts) or ():
            self._take_part(part)
        if said.grounding is not None:
            self._take_grounding(said.grounding)
        reason = _word(said.finish_reason, _FINISH_REASONS)
        if reason:
            self._unfinished.discard(lenient.count(said.index) or 0)
            self._finish(reason)

    def _finish(self, reason: str) -> None:
        if reason:
            self.draft.finish_reason = reason
            self.finished = not self._unfinished

    def _take_part(self, part: _Part) -> None:
        draft = self.draft
        (draft.reasoning if part.thought is True else draft.output).add(part.text)
        if part.code is not None:
            draft.output.add(part.code.code)
        if part.call is not None:
            self._take_call(part.call)
        if part.text or part.code or part.call or part.media:
            draft.output_started = True

    def _take_call(self, said: _Call) -> None:
        """Take a call, or, from Vertex where the agent wants arguments streamed, a piece of the last one."""
        draft = self.draft
        name, call_id = lenient.text(said.name), lenient.text(said.id)
        if name or self._call is None:
            self.settle()
            self._call = _Arguments(draft.call(len(draft.calls), call_id, name))
        pieces = [each for each in lenient.items(said.pieces) if isinstance(each, dict)]
        texts = (lenient.text(each.get("stringValue")) for each in pieces)
        self._argument_bytes += len(said.args) + sum(map(len, texts))
        if self._argument_bytes > MAX_ARGUMENT_BYTES:
            draft.truncated = True
            return
        if said.args:
            self._call.settle()
            self._call.draft.first = bytes(said.args)
        for piece in pieces:
            self._call.add(piece)

    def _take_grounding(self, said: _Grounding) -> None:
        for queries in (said.web, said.image):
            found = (lenient.text(query) for query in lenient.items(queries))
            self._queries.update(filter(None, found))
        self.draft.server_tool_uses = gemini_usage.web_searches(
            self.draft.model or self._model, len(self._queries)
        )

    def _take_usage(self, raw: msgspec.Raw) -> bool:
        said = lenient.table(raw)
        if said is None:
            return False
        draft = self.draft
        draft.service_tier = gemini_usage.service_tier(said) or draft.service_tier
        usage, details = gemini_usage.buckets(gemini_usage.of_metadata(said))
        if usage is None:
            return False
        draft.take_usage(usage, raw)
        draft.details = details
        return True


class _Pieces(list[str]):
    """A text in pieces."""


class _Arguments:
    """Arguments that come as pieces of values under JSON paths; nested ones keep their path as a name."""

    def __init__(self, draft: CallDraft) -> None:
        self.draft = draft
        self._values: dict[str, Any] = {}
        self._changed = False

    def add(self, piece: dict[str, Any]) -> None:
        self._changed = True
        name = lenient.text(piece.get("jsonPath")).removeprefix("$").lstrip(".")
        text = piece.get("stringValue")
        if isinstance(text, str):
            if not isinstance(self._values.get(name), _Pieces):
                self._values[name] = _Pieces()
            self._values[name].append(text)
            return
        for kind in ("numberValue", "boolValue"):
            if kind in piece:
                self._values[name] = piece[kind]

    def settle(self) -> None:
        if self._changed:
            self._changed = False
            whole = {
                name: "".join(value) if isinstance(value, _Pieces) else value
                for name, value in self._values.items()
            }
            self.draft.first = msgspec.json.encode(whole)


def _word(found: Any, words: tuple[str, ...]) -> str:
    """Give an enumerated value that may be written as its number."""
    number = lenient.count(found)
    if number is not None:
        return words[number] if number < len(words) else str(number)
    text = lenient.text(found)
    return "" if text in _UNSPECIFIED else text
