"""Decides which token counts an exchange is booked with, and estimates those that nobody told.

What lives here: the choice between the provider's numbers, those of a cut stream filled up, an estimate, and nothing.
What does not: prices, how an exchange ended (`completed` says whether the agent got all of it), how text becomes tokens (`guess.py`).

Strategy. Most providers send each token as an event of its own: where the number of events is about what the text suggests, it
is taken as it is. Else the text is guessed, times what is known of the family's tokenizer, times what earlier answers of the
same model taught (`learned.py`). `make estimates` measures all of it.
"""

from math import ceil
from typing import NamedTuple

from msgspec.structs import replace

from proxy.meter import guess
from proxy.model import Ask, Kind, Reading, Usage, UsageSource

CHARS_PER_TOKEN = 4.0
"""Recorded OpenAI answers: 4.2 characters of text and tool arguments a token (median of 176)."""

CHARS_PER_TOKEN_OF = {"anthropic_messages": 3.4}
"""Dialects that differ; recorded Anthropic answers: 3.3 (median of 57)."""

MAX_GUESSED_OUTPUT_TOKENS = 1 << 20
"""No model says more in an answer."""

MAX_GUESSED_INPUT_TOKENS = 200_000
"""A request that was not read may be large for its images: no guess from its bytes goes beyond this."""


class Taught(NamedTuple):
    """What earlier exchanges of the same caller and model taught; neutral as it stands."""

    input: float = 1.0
    """Tokens for each that was guessed."""
    output: float = 1.0


UNTAUGHT = Taught()


class _Tokenizer(NamedTuple):
    scale: float = 1.0
    """Tokens for each of OpenAI's."""
    call: float = 6.5
    """Tokens of a lone tool call beside its name and arguments."""
    calls: float = 12.5
    """The same, of each of several."""
    single: bool = True
    """Its providers send each token as an event of its own, mostly."""


_OPENAI = _Tokenizer()
_CLAUDE = _Tokenizer(1.15, 42.0, 32.0, single=False)
_COMMAND = _Tokenizer(1.1, -4.0, -4.0)
_MISTRAL = _Tokenizer(1.13, 8.0, 8.0)
_TOKENIZERS = {
    "claude": _CLAUDE,
    "anthropic": _CLAUDE,
    "gemini": _Tokenizer(1.06, -7.0, -7.0, single=False),
    "command": _COMMAND,
    "cohere": _COMMAND,
    "palmyra": _Tokenizer(1.0, 13.0, 13.0),
    "mistral": _MISTRAL,
    "ministral": _MISTRAL,
    "magistral": _MISTRAL,
    "nova": _Tokenizer(1.04, 46.6, 46.6, single=False),
    "titan": _Tokenizer(single=False),
}
"""By a word in the name of model or dialect.

Set by all recordings, of which there are few for most of these: nothing was held out, so errors over the same recordings flatter.
`make estimates` fits each scale to one half of them, too, by source, and says how far that one is off in the other half.
"""

_CLOSING = {"openai_responses": 1}
"""Tokens that are counted beside the text where an answer came to its end."""

_SLACK, _SLACK_TOKENS = 0.5, 4.0
"""How far the number of events may be from the guess, of it or in tokens, to be believed."""

_TOLD_ALL = 0.75
"""A guess is seldom further off than this. Gemini counts anew in every event, Anthropic only at the beginning and the end."""

_COUNTED = (Kind.LLM, Kind.EMBEDDING)
_NOTHING = (Usage(), UsageSource.NONE)


def settle(
    ask: Ask,
    reading: Reading,
    status: int,
    completed: bool,
    request_bytes: int,
    taught: Taught = UNTAUGHT,
) -> tuple[Usage, UsageSource]:
    """Give the usage of an exchange and where it comes from; `status` is 0 where no answer came to a request that was sent."""
    if status >= 300 or 0 < status < 200 or reading.deferred:
        return _NOTHING
    usage = reading.usage
    if usage is not None:
        if completed or _told_all(reading):
            return usage, UsageSource.PROVIDER
        filled = _filled_up(usage, ask, reading, request_bytes, taught)
        return filled, UsageSource.PARTIAL
    if not ask.is_step or ask.kind not in _COUNTED or _failed_at_once(reading):
        return _NOTHING
    filled = _filled_up(Usage(), ask, reading, request_bytes, taught)
    return filled, UsageSource.ESTIMATED


def _told_all(reading: Reading) -> bool:
    """Whether counts of a cut exchange are final: all families send the last ones with or after the finish reason.

    An error event ends a stream, too, but no counts come with it.
    """
    ended = reading.terminal and not reading.error_in_stream
    return ended or bool(reading.finish_reason) or not reading.expects_terminal


def _failed_at_once(reading: Reading) -> bool:
    """Whether an error came before anything else: nothing is billed then."""
    return reading.error_in_stream and not (
        reading.output_chars or reading.reasoning_chars
    )


def _filled_up(
    usage: Usage, ask: Ask, reading: Reading, request_bytes: int, taught: Taught
) -> Usage:
    """Estimate what is missing; never less than what the provider had counted so far."""
    if not _has_input(usage):
        usage = replace(usage, input=input_tokens(ask, request_bytes, taught.input))
    if ask.kind is Kind.EMBEDDING:
        return usage
    told = sum(count or 0 for count in (usage.output, usage.reasoning, usage.audio_out))
    guessed = output_tokens(ask, reading, taught.output)
    reasoning = _likelier(usage.reasoning, guessed.reasoning)
    rest = told - (reasoning or 0) - (usage.audio_out or 0)
    output = _likelier(usage.output and max(rest, 0), guessed.output)
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


def input_tokens(ask: Ask, request_bytes: int, taught: float = 1.0) -> int | None:
    """Guess the input; `None` where there was none to be seen."""
    known = _tokens(ask, ask.input_chars, taught)
    if known is not None:
        return known
    guessed = _tokens(ask, request_bytes, taught)
    return None if guessed is None else min(guessed, MAX_GUESSED_INPUT_TOKENS)


def output_tokens(ask: Ask, reading: Reading, taught: float = 1.0) -> Usage:
    """Guess the output of an answer, or of what has arrived of it; `None` where there was none to be seen."""
    tokenizer = _tokenizer(ask, reading)
    scale = tokenizer.scale * taught
    arguments = [call.arguments.decode(errors="replace") for call in reading.tool_calls]
    chars = reading.output_chars - sum(map(len, arguments))
    said = _said(reading.output_text, chars) + sum(map(guess.tokens, arguments))
    output = _counted(tokenizer, said * scale, reading.output_deltas)
    each = tokenizer.call if len(arguments) == 1 else tokenizer.calls
    for call in reading.tool_calls:
        output += max(each + guess.tokens(call.name) * scale, 1.0)
    if output and (reading.terminal or reading.finish_reason):
        output += _CLOSING.get(ask.dialect, 0)
    thought = _said(reading.reasoning_text, reading.reasoning_chars) * scale
    reasoning = _counted(tokenizer, thought, reading.reasoning_deltas)
    # The limit is one for each choice: more events than that came from several.
    limit = max(
        ask.max_output_tokens or MAX_GUESSED_OUTPUT_TOKENS, reading.output_deltas
    )
    return Usage(
        output=min(ceil(output), limit) if output else None,
        reasoning=min(ceil(reasoning), limit) if reasoning else None,
    )


def _tokenizer(ask: Ask, reading: Reading) -> _Tokenizer:
    for name in ((reading.model or ask.model).lower(), ask.dialect):
        for word, tokenizer in _TOKENIZERS.items():
            if word in name:
                return tokenizer
    return _OPENAI


def _said(text: str, chars: int) -> float:
    """Guess the tokens of a text of which the beginning was kept."""
    if not text:
        return max(chars, 0) / CHARS_PER_TOKEN
    return guess.tokens(text) * max(chars, len(text)) / len(text)


def _counted(tokenizer: _Tokenizer, guessed: float, deltas: int) -> float:
    """Choose between the guess and the number of events; none is empty, so there are at least as many tokens."""
    slack = max(guessed * _SLACK, _SLACK_TOKENS)
    if tokenizer.single and abs(guessed - deltas) < slack and deltas > 1:
        return deltas
    return max(guessed, float(deltas))


def _tokens(ask: Ask, chars: int, taught: float) -> int | None:
    """Estimate tokens of a prompt; `None` where there was none to be seen."""
    if chars <= 0:
        return None
    per_token = CHARS_PER_TOKEN_OF.get(ask.dialect, CHARS_PER_TOKEN)
    return -int(-chars * taught // per_token)


def _likelier(told: int | None, guessed: int | None) -> int | None:
    """Choose the count that arrived, unless so little of the text is in it that it must be an earlier one."""
    if told and guessed and told >= _TOLD_ALL * guessed:
        return told
    known = [count for count in (told, guessed) if count is not None]
    return max(known) if known else None
