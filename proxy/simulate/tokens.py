"""The stated rule by which characters become tokens: four characters are one, a beginning of one counts.

What lives here: the rule, the text of a prompt as it is counted, and the bill of an exchange. What does not: caches'
memory (`prompt_cache.py`). A prompt is the tools as JSON, then each message as its role, its calls and its text.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proxy.simulate.question import Answer, Bill, Question

CHARACTERS_PER_TOKEN = 4
SHORT, LONG = "5m", "1h"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a prompt, at whose end the client may have asked for it to be cached."""

    text: str
    cached: str = ""


def count(text: str) -> int:
    """Count the tokens of a text."""
    return tokens_of(len(text))


def tokens_of(characters: int) -> int:
    """Count the tokens of so many characters."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def segments(question: Question) -> Iterator[Segment]:
    """Give the prompt part by part."""
    for tool in question.tools:
        described = f"{tool.name} {tool.description} {json.dumps(tool.schema)}\n"
        yield Segment(described, tool.cached)
    for turn in question.turns:
        called = "".join(f" {name}" for name in turn.calls)
        yield Segment(f"{turn.role}{called}\n{turn.text}\n", turn.cached)


def prompt_tokens(parts: Sequence[Segment]) -> int:
    """Count a prompt."""
    return tokens_of(sum(len(part.text) for part in parts))


def output_tokens(answer: Answer) -> int:
    """Count what is visible of an answer: its text, and each call's name and arguments."""
    called = sum(count(call.tool) + count(call.arguments) for call in answer.calls)
    return max(1, count(answer.text) + called)


def bill(total: int, read: int, written: tuple[int, int], answer: Answer) -> Bill:
    """Make the bill; `written` to the cache for a short and a long time."""
    short, long = written
    uncached = total - read - short - long
    return Bill(
        uncached, read, short, long, output_tokens(answer), count(answer.reasoning)
    )
