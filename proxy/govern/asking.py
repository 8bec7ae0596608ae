"""What a call says to the policies, as a case.

What lives here: putting together what identification, the price book and what was learned know of a call. What does not: reading requests
(`said.py`, `proxy.identify`), prices (`proxy.settling`), what policies make of it (`proxy.judge`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from proxy.govern.said import Said
from proxy.identify.conversation import Conversation
from proxy.judge.case import Case
from proxy.judge.expected import Expected, Kin, Price
from proxy.judge.matching import Site
from proxy.model import Ask, Kind

MOST_OUTPUT_TOKENS = 128_000
"""What a model can write where neither the request nor its window sets a limit."""
_NO_SPACE = Conversation()


@dataclass(
    slots=True
)  # not frozen: each call makes one, and that would take five times as long
class Asking:
    """A call that asks for admission, before anybody knows where it belongs."""

    tenant: str
    agent: str
    caller: str
    route: str
    provider: str
    origin: str
    """Scheme, host and port of the upstream."""
    ask: Ask
    ts_us: int
    """Wall clock at admission."""
    size: int = 0
    """Bytes of the body, as far as that is known."""
    conversation: Conversation = _NO_SPACE
    body: bytes | None = field(default=None, repr=False)


class Quote(msgspec.Struct, frozen=True, gc=False):
    """What the price book says of a call before it goes out."""

    input_tokens: int = 0
    """Estimated."""
    price: Price = Price()
    window_tokens: int | None = None
    is_refused: bool = False
    """Nobody knows what the model costs, and the settings refuse such models."""


UNQUOTED = Quote()
Quoting = Callable[[Asking], Quote]


class Placed(NamedTuple):
    """Where a call belongs."""

    run_id: str = ""
    turn_seq: int = 1
    session_id: str = ""
    is_retry: bool = False
    agent: str = ""
    """Of a call that does not say its own: its run's."""


def site_of(asking: Asking) -> Site:
    """Say which limits hold for it."""
    ask = asking.ask
    return Site(asking.tenant, asking.agent, asking.caller, asking.route, ask.model, ask.kind)  # fmt: skip


def kin_of(asking: Asking) -> Kin:
    """Say which calls are like it."""
    ask = asking.ask
    return Kin(asking.caller, asking.agent, ask.model, ask.operation)


def case_of(
    asking: Asking,
    placed: Placed,
    quote: Quote,
    said: Said,
    expected: Expected,
    now_us: int,
) -> Case:
    """Make the case."""
    ask = asking.ask
    longest = ask.max_output_tokens
    if ask.kind is not Kind.LLM:
        longest = 0
    most = min(quote.window_tokens or MOST_OUTPUT_TOKENS, MOST_OUTPUT_TOKENS)
    guess = expected.guess(kin_of(asking), quote.price, longest, most)
    return Case(
        asking.tenant,
        asking.agent,
        asking.caller,
        asking.route,
        asking.provider,
        asking.origin,
        ask.model,
        ask.kind,
        ask.operation,
        ask.is_step,
        now_us,
        placed.is_retry,
        placed.run_id,
        placed.turn_seq,
        placed.session_id,
        longest,
        quote.input_tokens,
        quote.window_tokens,
        guess.expected_nano,
        guess.worst_nano,
        quote.input_tokens + guess.output_tokens,
        said.body,
        said.calls,
        said.tools,
        said.results,
        said.errors,
    )
