"""Settings of policies that are compared, and the calls with which: for `governing.py` and `saturation.py`.

What lives here: values. What does not: measuring, conversations (`conversations.py`).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from bench.conversations import Loop, Shape, text_of

STEPS = 12
RESULT_CHARS = 800
_SWITCHES = (
    "backstop", "caps", "spend_rate", "repeat", "cycle", "same_error", "no_progress", "breaker", "rate_gate", "quota_gate",
)  # fmt: skip
_ENFORCED = {name: {"mode": "enforce"} for name in _SWITCHES}
_BUDGETS = (("month", "tenant"), ("day", "agent"), ("hour", "caller"))
_FAR = {
    "steps": 10**6, "tool_calls": 10**6, "attempts": 10**6, "cost_usd": 10**6, "tokens": 10**12, "wall_seconds": 10**6,
}  # fmt: skip
_RATES = {"cost_usd_per_minute": 10**6, "cost_usd_per_hour": 10**6, "same_requests": 10**6}  # fmt: skip


def _budgets(**amounts: int) -> list[dict[str, Any]]:
    """Give a budget of a tenant, of an agent and of a caller."""
    return [{"name": period, "per": per, "period": period, "mode": "enforce", **amounts} for period, per in _BUDGETS]  # fmt: skip


OFF: dict[str, Any] = {name: {"mode": "off"} for name in (*_SWITCHES, "tool_calls")}  # fmt: skip
ALL: dict[str, Any] = {
    **_ENFORCED,
    "spend_rate": {"mode": "enforce", **_RATES},
    "budgets": _budgets(cost_usd=10**6),
}
EVERY: dict[str, Any] = {
    **ALL,
    "caps": {"mode": "enforce", **_FAR, "turn": _FAR, "session": _FAR},
    "budgets": _budgets(cost_usd=10**6, tokens=10**12, steps=10**9),
}
SETTINGS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "off": OFF,
    "defaults": {},
    "all": ALL,
    "every": EVERY,
}
"""Of `policies`. `None`: nobody governs; `all`: every policy enforces, with a budget of each sort; `every`: and by every limit that there is."""
SHAPE = Shape("chat", "20 KB", 20_000, 20)


class Call(NamedTuple):
    """A request, and the message with which it is answered."""

    body: bytes
    answer: Any


def chats(first: int, number: int) -> Iterator[Call]:
    """Give short requests of a conversation each."""
    for each in range(first, first + number):
        said = {"role": "user", "content": text_of(1300, each)}
        system = {"role": "system", "content": "You are a helpful assistant."}
        body = {"model": "gpt-5", "temperature": 0.2, "messages": [system, said]}
        answer = {"role": "assistant", "content": text_of(1000, each + 10**6)}
        yield Call(msgspec.json.encode(body), answer)


def steps(first: int, loops: int, together: int = 1) -> Iterator[Call]:
    """Give the steps of agents' loops in their order, each with a new call and its result; so many loops take turns."""
    for at in range(first, first + loops, together):
        agents = [Loop(SHAPE, number) for number in range(at, at + together)]
        for _ in range(STEPS):
            for agent in agents:
                query = f"page {agent.seed}"
                yield Call(agent.body(seed=agent.seed), agent.answer(query))
                agent.go_on(text_of(RESULT_CHARS, agent.seed), query)
