"""The language of plans: what a simulated model is to do, written into the prompt of any unmodified agent.

A plan stands anywhere in a message or the system prompt, as `<<plan: STEP | STEP | ... >>`. The newest message that has
one decides (of several in it, the last). Each answer of the model is one step: the steps already taken are the assistant
turns behind the plan (for agents that keep all in one message, the lines behind it that begin with `Observation:`). When
no step is left, the model says that it is done. Assistant turns are not searched, so a model may say a plan to another.

    call NAME {"json": "arguments"}   call a tool; without arguments they are made from its schema
    call! NAME {...}                  the same, although nobody offered that tool (a hallucination)
    call NAME raw "{broken"           call it with arguments that need not be JSON (OpenAI's families)
    say TEXT                          say it; a JSON string where the text has | & >> or, inside of a loop, )
    json VALUE                        say a JSON value
    pad TOKENS                        say filler of that length
    think TOKENS                      reason first
    act NAME {...}                    call a tool in text, as ReAct agents do (`Action:`, `Action Input:`)
    fail STATUS [quota] [retry-after SECONDS]    answer with an error (quota: the one about the bill)
    slow SECONDS                      wait before the answer
    cut after TOKENS                  break the connection when so much was said
    error in stream [after TOKENS]    end a stream with the family's error event (500 where nothing is streamed)
    hang                              never answer

Actions joined by `&` are one step: `say Let me look. & call a {} & call b {}` calls two tools in parallel. Steps repeat:
`loop 100 call search {"q": "tea"}`, `loop forever ( call a | call b )`. Faults happen once for the same request, or as
often as `times N` or `always` behind them says (`slow` always, unless told otherwise); a step of faults alone belongs to
the step behind it, so `fail 529 times 2 | say Hi.` fails twice and then says it. In all strings `$n` is the number of the
step (from 1) and `$last` the newest tool result.

One plan suits all agents: where no tools are offered but the prompt wants ReAct text or code, calls become that; where a
tool must be called or a schema be met, what is said goes into it. A plan that cannot be read is answered with 400.

What lives here: the parts of a plan, which step comes when, and how a plan is written. What does not: reading one
(`parser.py`), what a step means for an agent (`director.py`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

OPENING = "<<plan:"
CLOSING = ">>"
ALWAYS = 0
"""As often as the request comes (the `times` of a fault), or as the model is asked (the count of a loop)."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call."""

    tool: str
    arguments: dict[str, Any] | None = None
    """`None`: to be made from the schema."""
    offered: bool = True
    """Whether it must be one of the tools on offer."""
    raw: str | None = None
    """Arguments as text, which may be broken."""


@dataclass(frozen=True, slots=True)
class Act:
    """A tool call in text."""

    tool: str
    arguments: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """Visible text."""

    text: str


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value as text."""

    value: Any


@dataclass(frozen=True, slots=True)
class Pad:
    """Filler."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Think:
    """Reasoning."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong."""

    kind: str
    """`fail`, `slow`, `cut`, `error` or `hang`."""
    status: int = 0
    quota: bool = False
    retry_after_seconds: float | None = None
    seconds: float = 0.0
    after_tokens: int = 0
    times: int = 1
    """How often for the same request; `ALWAYS` for each time."""


Action = Call | Act | Say | Json | Pad | Think


@dataclass(frozen=True, slots=True)
class Step:
    """What one answer holds."""

    actions: tuple[Action, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps that repeat, `ALWAYS` for without end."""

    count: int
    body: tuple["Step | Loop", ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order."""

    nodes: tuple[Step | Loop, ...]

    def step(self, number: int) -> Step | None:
        """Give the step with this number, from 0, or nothing where the plan is over."""
        return _find(self.nodes, number)

    def __str__(self) -> str:
        return f"{OPENING} {' | '.join(map(_show, self.nodes))} {CLOSING}"


def _is_faults(node: Step | Loop | None) -> TypeGuard[Step]:
    return isinstance(node, Step) and bool(node.faults) and not node.actions


def gather(nodes: Sequence[Step | Loop]) -> tuple[Step | Loop, ...]:
    """Give steps of faults alone to the step behind them, in a loop to the first of its first turn.

    The last one stays a step, and one before a loop that itself ends in faults alone.
    """
    found: list[Step | Loop] = []
    for node in nodes:
        before = found[-1] if found else None
        if isinstance(node, Step) and _is_faults(before):
            found[-1] = replace(node, faults=before.faults + node.faults)
        elif (
            _is_faults(before)
            and isinstance(node, Loop)
            and not _is_faults(node.body[-1])
        ):
            found[-1:] = gather((before, *node.body))
            if node.count != 1:
                left = ALWAYS if node.count == ALWAYS else node.count - 1
                found.append(replace(node, count=left))
        else:
            found.append(node)
    return tuple(found)


def _length(node: Step | Loop) -> float:
    if isinstance(node, Step):
        return 1
    count = float("inf") if node.count == ALWAYS else node.count
    return count * sum(map(_length, node.body))


def _find(nodes: Sequence[Step | Loop], number: int) -> Step | None:
    for node in nodes:
        length = _length(node)
        if number < length:
            if isinstance(node, Step):
                return node
            return _find(node.body, int(number % sum(map(_length, node.body))))
        number -= int(length)
    return None


def _show(node: Step | Loop) -> str:
    if isinstance(node, Loop):
        count = "forever" if node.count == ALWAYS else str(node.count)
        return f"loop {count} ( {' | '.join(map(_show, node.body))} )"
    return " & ".join(
        [*map(_show_fault, node.faults), *map(_show_action, node.actions)]
    )


def _show_action(action: Action) -> str:
    match action:
        case Call(tool, arguments, offered, raw):
            words = [f"call{'' if offered else '!'} {tool}"]
            if raw is not None:
                words += ["raw", json.dumps(raw)]
            elif arguments is not None:
                words.append(json.dumps(arguments))
            return " ".join(words)
        case Act(tool, arguments):
            return f"act {tool}" + f" {json.dumps(arguments)}" * (arguments is not None)
        case Say(text):
            return f"say {json.dumps(text)}"
        case Json(value):
            return f"json {json.dumps(value)}"
        case Pad(tokens):
            return f"pad {tokens}"
        case Think(tokens):
            return f"think {tokens}"


def _show_fault(fault: Fault) -> str:
    words = {
        "fail": f"fail {fault.status}",
        "slow": f"slow {fault.seconds}",
        "cut": f"cut after {fault.after_tokens}",
        "error": f"error in stream after {fault.after_tokens}",
        "hang": "hang",
    }[fault.kind]
    words += " quota" * fault.quota
    if fault.retry_after_seconds is not None:
        words += f" retry-after {fault.retry_after_seconds}"
    return words + (" always" if fault.times == ALWAYS else f" times {fault.times}")
