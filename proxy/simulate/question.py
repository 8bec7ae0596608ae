"""What a request asks and what the answer is, in words that all families share.

What lives here: the nouns between `families/`, `director.py` and the counting. What does not: any wire format.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

SYSTEM, USER, ASSISTANT, TOOL = "system", "user", "assistant", "tool"
ANY_TOOL = "*"
"""A tool must be called, whichever."""
NO_TOOL = "-"
"""No tool may be called."""


class UnacceptableError(Exception):
    """A request that the provider refuses with 400, and why."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: str
    text: str
    calls: tuple[str, ...] = ()
    """The tools that an assistant's turn called."""
    cached: str = ""
    """The lifetime (`5m`, `1h`) where the client marked the end of this message for the cache, else empty."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer."""

    name: str
    schema: dict[str, Any]
    description: str = ""
    cached: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One request for an answer of a model."""

    model: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    forced: str = ""
    """The tool that must be called, `ANY_TOOL`, `NO_TOOL`, or empty for as the model likes."""
    schema: dict[str, Any] | None = None
    """What the text must be an instance of; an empty one for any JSON object."""
    parallel: bool = True
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    stream: bool = False
    shows_reasoning: bool = False
    can_reason: bool = True
    include_usage: bool = False
    """Whether a stream of OpenAI's chat completions is to end with its usage."""
    body: dict[str, Any] = field(default_factory=dict, repr=False)
    """The request itself, for what an answer repeats of it."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes."""

    tool: str
    arguments: str
    """JSON, unless the plan wants it broken."""
    id: str = ""


class Finish(Enum):
    """Why an answer ends."""

    STOP = "stop"
    LENGTH = "length"
    CALLS = "calls"
    STOP_SEQUENCE = "stop_sequence"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says."""

    reasoning: str = ""
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = Finish.STOP
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """The tokens of an exchange, in disjoint buckets."""

    input: int
    """Uncached."""
    cache_read: int = 0
    cache_write: int = 0
    cache_write_long: int = 0
    output: int = 0
    """Visible."""
    reasoning: int = 0

    @property
    def all_input(self) -> int:
        """Give the whole prompt."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_long

    @property
    def all_output(self) -> int:
        """Give all that was generated."""
        return self.output + self.reasoning


@dataclass(frozen=True, slots=True)
class Exchange:
    """All that a family needs to write an answer."""

    question: Question
    answer: Answer
    bill: Bill
    id: str
    """The answer's own."""
    created: int
    """Unix seconds."""
    ids: tuple[str, ...] = ()
    """More unique endings of ids, for what an answer is made of."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that the provider answers with."""

    status: int
    message: str
    quota: bool = False
    code: str | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A piece of a stream."""

    chunk: bytes
    tokens: int = 0
    """How many tokens had to be made for it."""
