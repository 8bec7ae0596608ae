"""Decides which token counts an exchange is booked with, and estimates those that nobody told.

What lives here: the choice between the provider's numbers, those of a cut stream filled up, an estimate from lengths, and nothing.
What does not: prices, and how an exchange ended (`completed` says whether the agent got all of it).
"""

from msgspec.structs import replace

from proxy.model import Ask, Kind, Reading, Usage, UsageSource

CHARS_PER_TOKEN = 4.0
"""Recorded OpenAI answers: 4.2 characters of text and tool arguments a token (median of 176)."""

CHARS_PER_TOKEN_OF = {"anthropic_messages": 3.4}
"""Dialects that differ; recorded Anthropic answers: 3.3 (median of 57)."""

MAX_GUESSED_INPUT_TOKENS = 200_000
"""A request that was not read may be large for its images: no guess from its bytes goes beyond this."""

_COUNTED = (Kind.LLM, Kind.EMBEDDING)
_NOTHING = (Usage(), UsageSource.NONE)


def settle(
    ask: Ask, reading: Reading, status: int, completed: bool, request_bytes: int
) -> tuple[Usage, UsageSource]:
    """Give the usage of an exchange and where it comes from; `status` is 0 where no answer came to a request that was sent."""
    if status >= 300 or 0 < status < 200 or reading.deferred:
        return _NOTHING
    usage = reading.usage
    if usage is not None:
        if completed or _told_all(reading):
            return usage, UsageSource.PROVIDER
        return _filled_up(usage, ask, reading, request_bytes), UsageSource.PARTIAL
    if not ask.is_step or ask.kind not in _COUNTED or _failed_at_once(reading):
        return _NOTHING
    return _filled_up(Usage(), ask, reading, request_bytes), UsageSource.ESTIMATED


def _told_all(reading: Reading) -> bool:
    """Whether counts of a cut exchange are final: all families send the last ones with or after the finish reason."""
    return (
        reading.terminal or bool(reading.finish_reason) or not reading.expects_terminal
    )


def _failed_at_once(reading: Reading) -> bool:
    """Whether an error came before anything else: nothing is billed then."""
    return reading.error_in_stream and not (
        reading.output_chars or reading.reasoning_chars
    )


def _filled_up(usage: Usage, ask: Ask, reading: Reading, request_bytes: int) -> Usage:
    """Estimate what is missing; never less than what the provider had counted so far."""
    if not _has_input(usage):
        usage = replace(usage, input=_input(ask, request_bytes))
    if ask.kind is Kind.EMBEDDING:
        return usage
    told = sum(count or 0 for count in (usage.output, usage.reasoning, usage.audio_out))
    reasoning = _most(usage.reasoning, _tokens(ask, reading.reasoning_chars))
    rest = told - (reasoning or 0) - (usage.audio_out or 0)
    output = _most(usage.output and max(rest, 0), _tokens(ask, reading.output_chars))
    return replace(usage, output=output, reasoning=reasoning)


def _has_input(usage: Usage) -> bool:
    return any(
        count is not None
        for count in (
            usage.input,
            usage.cache_read,
            usage.cache_write,
            usage.cache_write_long,
            usage.audio_in,
            usage.image_in,
        )
    )


def _input(ask: Ask, request_bytes: int) -> int | None:
    known = _tokens(ask, ask.input_chars)
    if known is not None:
        return known
    guess = _tokens(ask, request_bytes)
    return None if guess is None else min(guess, MAX_GUESSED_INPUT_TOKENS)


def _tokens(ask: Ask, chars: int) -> int | None:
    """Estimate tokens of text; `None` where there was none to be seen."""
    if chars <= 0:
        return None
    return -int(-chars // CHARS_PER_TOKEN_OF.get(ask.dialect, CHARS_PER_TOKEN))


def _most(told: int | None, estimate: int | None) -> int | None:
    known = [count for count in (told, estimate) if count is not None]
    return max(known) if known else None
