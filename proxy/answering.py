"""What happens to the answer of one exchange on its way to the agent: it is read, and where we altered something, undone.

What lives here: the tee that is metered, the edits of the answer's bytes, and the rule that a fault in either costs only itself.
What does not: the account (`ledger.py`), how an answer is read or an edit works (`meter/`, `http/`).
"""

from collections.abc import Callable
from typing import Protocol

from proxy.desk import Desk
from proxy.forward.http1 import AnswerHead, Framing
from proxy.holding import Hold
from proxy.http.leading_back import LeadingBack
from proxy.http.sse_endpoint import SseEndpoint
from proxy.judge.signals import MAX_ERROR_BYTES
from proxy.meter.decode import Inflater
from proxy.meter.dialect import Dialect, Head
from proxy.meter.inject import Stripper
from proxy.meter.tee import Tee
from proxy.model import Ask, Reading

_CHAT = "chat"
_NULL_MEANS_ASKED = frozenset({"openai", "azure"})
"""Providers whose legacy completions carry `\"usage\":null` only when asked, as all do in chat; vLLM's always do."""
_ERRORS = 400
_STREAM_FACTOR = 16
_EVENTS = "text/event-stream"

SSE_ENDPOINT = "sse_endpoint"
"""In `altered`: the path that an old MCP server names was given our prefix."""
REDIRECT = "redirect"
"""In `altered`: an MCP server's redirect to a place of its own was given our prefix."""
NOT_STRIPPED = "usage_not_stripped"
"""In `altered`: usage was asked for, and the agent got more than it asked for."""


class Edit(Protocol):
    """A change of the answer's bytes."""

    def feed(self, chunk: bytes) -> bytes:
        """Take what came; give what may go on now."""

    def flush(self) -> bytes:
        """Give what was held back."""


class Answer:
    """The answer's body on its way."""

    def __init__(
        self,
        desk: Desk,
        provider: str,
        altered: list[str],
        unfollowed: Callable[[str], None],
    ) -> None:
        """`altered` gets the words for what the agent sees changed; `unfollowed` is told why an endpoint leads nowhere."""
        self._desk = desk
        self._provider = provider
        self._altered = altered
        self._unfollowed = unfollowed
        self._tee: Tee | None = None
        self._edit: Edit | None = None
        self._error: Inflater | None = None
        self._error_body: list[bytes] = []
        self.injected = False
        """Usage was asked for on the agent's behalf."""
        self.endpoint: SseEndpoint | None = None
        """Where the answer may name an endpoint; until it has."""
        self.leading_back: LeadingBack | None = None
        """Where a redirect must lead back here."""
        self.hold: Hold | None = None
        """Where events may have to be kept back."""

    def begin(self, ask: Ask, dialect: Dialect, head: AnswerHead) -> Framing:
        """Set up meter and edits; give how the body's end is told to the agent. May raise. `hold` is set before."""
        encoding = head.get(b"content-encoding").decode("latin-1")
        content_type = head.get(b"content-type").decode("latin-1")
        reader = dialect.reader(ask, Head(head.status, content_type, head.headers))
        limit = self._desk.meter_buffer_bytes
        if content_type.startswith(_EVENTS):
            # Events are read and forgotten; the limit is then only one on the work that a bomb can cause.
            limit *= _STREAM_FACTOR
        self._tee = Tee(reader, encoding, limit)
        self._error = Inflater(encoding, MAX_ERROR_BYTES) if head.status >= _ERRORS else None  # fmt: skip
        if head.status == 200:
            plain = encoding.lower() in ("", "identity")
            self._edit = self._edit_of(ask, plain, content_type)
        is_edited = self._edit is not None or self.hold is not None
        edits_length = is_edited and head.framing is Framing.LENGTH
        return Framing.CHUNKED if edits_length else head.framing

    def redirected(
        self, status: int, headers: list[tuple[bytes, bytes, bytes]]
    ) -> list[tuple[bytes, bytes, bytes]]:
        """Give headers (lower-case name, name, value), `Location` leading back here where it must. May raise."""
        if self.leading_back is None or not 300 <= status < 400:
            return headers
        made = []
        for lower, name, value in headers:
            is_place = lower == b"location"
            wanted = self.leading_back.wanted(value) if is_place else None
            if wanted is not None:
                self._altered.append(REDIRECT)
            made.append((lower, name, value if wanted is None else wanted))
        return made

    def _edit_of(self, ask: Ask, plain: bool, content_type: str) -> Edit | None:
        if self.endpoint is not None:
            events = content_type.startswith(_EVENTS)
            return self.endpoint if plain and events else None
        if not self.injected:
            return None
        if not plain:
            # It was asked for identity. Its bytes pass as they are: better one event too many than another coding.
            self._altered.append(NOT_STRIPPED)
            return None
        asked = ask.operation == _CHAT or self._provider in _NULL_MEANS_ASKED
        return Stripper(takes_nulls=asked)

    def feed(self, data: bytes) -> bytes:
        """Meter a piece of the body; give what the agent gets for it."""
        if self.hold is None:
            return self._metered(data)
        return self.hold.feed(data, self._metered, self._asks)

    def _asks(self) -> bool:
        return self._tee is not None and self._tee.calls_started

    def ended(self) -> bytes:
        """Take the end of the body; give what may go on of an event that never ended."""
        return b"" if self.hold is None else self.hold.ended(self._metered)

    def released(self) -> bytes:
        """Give the events that were kept back."""
        return b"" if self.hold is None else self.hold.released(self._metered)

    def drop(self) -> None:
        """Let the agent get nothing more of this answer."""
        if self.hold is not None:
            self.hold.dropped(self._metered)

    def _metered(self, data: bytes) -> bytes:
        if self._tee is not None:
            self._tee.feed(data)
        if self._error is not None:
            self._error_body.append(self._error.feed(data))
        return data if self._edit is None else self._edited(self._edit, data)

    def _edited(self, edit: Edit, data: bytes) -> bytes:
        try:
            data = edit.feed(data)
        except Exception:  # noqa: BLE001  # the guard of the phase meter: better bytes too many than a cut stream
            self._edit = self.endpoint = None
            if self.injected:
                self._altered.append(NOT_STRIPPED)
            self._desk.fault("meter")
            return data
        if self.endpoint is not None and self.endpoint.over:
            self._settle_endpoint(self.endpoint)
        return data

    def _settle_endpoint(self, endpoint: SseEndpoint) -> None:
        self._edit = self.endpoint = None
        if endpoint.rewritten:
            self._altered.append(SSE_ENDPOINT)
        if endpoint.unreachable:
            self._unfollowed("outside_route")
        if endpoint.too_long:
            self._unfollowed("too_long")

    def rest(self) -> bytes:
        """Give what an edit held back, at the end of the body."""
        is_dropped = self.hold is not None and self.hold.is_dropped
        return b"" if self._edit is None or is_dropped else self._edit.flush()

    @property
    def terminal(self) -> bool:
        """Whether the terminal event has passed."""
        return self._tee is not None and self._tee.terminal

    @property
    def output_started(self) -> bool:
        """Whether the first output token of a stream has passed."""
        return self._tee is not None and self._tee.output_started

    def reading(self) -> Reading:
        """Say what has been read so far."""
        return Reading() if self._tee is None else self._tee.reading()

    @property
    def error_body(self) -> bytes:
        """Give the beginning of an error's body, without its content coding."""
        return b"".join(self._error_body)

    @property
    def incomplete(self) -> bool:
        """Whether the reader failed, or something could not be read."""
        tee = self._tee
        return tee is not None and (tee.failures > 0 or tee.truncated)
