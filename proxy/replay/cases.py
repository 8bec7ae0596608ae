"""A recorded call as the case that its admission would have made of it.

What lives here: what the call asked for, cost and brought with it, as far as rows tell. What does not: what policies make of it (`replayer.py`).

What differs from a case that was made while the call came in:

- What is reserved is learned from the answers before, as it is then; a prompt's price is that of the tokens which were counted, not estimated.
- What a request brings is what the newest answers of its run asked for, by the hash of the arguments as they were: nothing is masked in it. A
  request after an answer that asked for nothing is one of its own, also where it said the same as another.
"""

from decimal import Decimal

import msgspec

from proxy.govern.asking import MOST_OUTPUT_TOKENS
from proxy.judge.bench import Spent
from proxy.judge.case import Case
from proxy.judge.expected import Expected, Kin, Price
from proxy.model import Kind, Outcome, UsageSource
from proxy.replay.rows import Call, Row, pico

Place = tuple[str, str]
"""Tenant and run."""
_BILLED = (Kind.LLM, Kind.EMBEDDING)
_PICO_PER_NANO = 1000


class Made(msgspec.Struct, frozen=True, gc=False):
    """Calls of tools that an answer asked for."""

    tools: tuple[str, ...] = ()
    calls: tuple[int, ...] = ()


_NOTHING = Made()


class Cases:
    """Makes cases of calls in the order of their begin, told of each end when it came."""

    def __init__(self) -> None:
        self._expected = Expected()
        self._output_pico: dict[tuple[str, str], int] = {}
        self._asked: dict[Place, Made] = {}
        self._bodies = 0

    def case(self, call: Call) -> Case:
        """Give the case of a call that begins."""
        row = call.row
        is_retry = row.attempt > 0
        brought = _NOTHING
        if row.kind is Kind.LLM and not is_retry:
            brought = self._asked.pop((row.tenant, row.run_id), _NOTHING)
        self._bodies += 1
        price = self._price(row)
        most = min(row.ctx_window or MOST_OUTPUT_TOKENS, MOST_OUTPUT_TOKENS)
        longest = None if row.kind is Kind.LLM else 0
        guess = self._expected.guess(_kin(row), price, longest, most)
        return Case(
            row.tenant,
            row.agent,
            row.caller,
            row.route,
            row.provider,
            "",
            row.model_requested,
            row.kind,
            row.operation,
            row.is_step,
            row.began_us,
            is_retry,
            row.run_id,
            row.turn,
            row.session_id,
            longest,
            row.input_tokens,
            row.ctx_window,
            guess.expected_nano,
            guess.worst_nano,
            row.input_tokens + guess.output_tokens,
            self._bodies,
            brought.calls,
            brought.tools,
        )

    def unmade(self, case: Case) -> None:
        """Note that a call was not made after all: what it would have brought is still to come."""
        if case.calls:
            self._asked[(case.tenant, case.run_id)] = Made(case.tools, case.calls)

    def ended(self, call: Call) -> None:
        """Learn from an answer."""
        row = call.row
        if row.call_tool and row.run_id and row.outcome == Outcome.COMPLETED:
            place = (row.tenant, row.run_id)
            before = self._asked.get(place, _NOTHING)
            self._asked[place] = Made(before.tools + row.call_tool, before.calls + row.call_args_hash)  # fmt: skip
        if row.usage_source != UsageSource.PROVIDER or row.kind not in _BILLED:
            return
        if row.output_tokens:
            self._output_pico[row.provider, row.model_requested] = _output_pico(row)
        if row.outcome == Outcome.COMPLETED:
            self._expected.learn(_kin(row), nano_of(call), row.output_tokens)

    def _price(self, row: Row) -> Price:
        """Say what was known of the price; what an answer costs a token is known of the one before where this has none."""
        if row.kind not in _BILLED:
            return Price()
        place = (row.provider, row.model_requested)
        output = _output_pico(row) if row.output_tokens else self._output_pico.get(place, 0)  # fmt: skip
        return Price(-(-pico(row.rate_input) * row.input_tokens // _PICO_PER_NANO), output)  # fmt: skip


def nano_of(call: Call) -> int:
    """Give what a call cost, as accounts take it."""
    return -(-call.pico // _PICO_PER_NANO)


def spent_of(call: Call) -> Spent | None:
    """Say what a call is settled at; `None`: at what was reserved, since its proxy died."""
    if call.row.outcome == Outcome.PROXY_CRASHED:
        return None
    return Spent(nano_of(call), call.tokens)


def _kin(row: Row) -> Kin:
    return Kin(row.caller, row.agent, row.model_requested, row.operation)


def _output_pico(row: Row) -> int:
    return pico(row.output_usd / Decimal(row.output_tokens))
