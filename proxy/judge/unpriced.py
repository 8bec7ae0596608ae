"""The policy `unpriced`: no call to a model whose price nobody knows, where the settings say so.

What lives here: which requests that concerns, and what the agent is told. What does not: who knows prices (`meter/book.py`).

A request that names no model (its body is no JSON, or too large to be read whole) passes, and its answer is priced as the settings assume: nothing
can be said of a name that was not read. Neither is a self-hosted model refused, whose price is not unknown but none.
"""

from proxy.judge.verdict import Action, Reason, Verdict
from proxy.model import Ask, Kind

POLICY = "unpriced"
_BILLED = (Kind.LLM, Kind.EMBEDDING)


def verdict(ask: Ask, provider: str, *, is_unknown: bool) -> Verdict | None:
    """Say that the request must not go upstream; `None` where it may."""
    if not (is_unknown and ask.is_step and ask.model and ask.kind in _BILLED):
        return None
    message = (
        f"the model {ask.model} of {provider} has no price here, and unpriced.policy is block;"
        " give it rates in prices:, fetch newer prices with `tacho prices update`, or set unpriced.policy to assume"
    )
    return Verdict(Action.BLOCK, POLICY, Reason.NO_PRICE, message, "request", "", "")
