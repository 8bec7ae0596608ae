"""Which run a call belongs to: a ladder of evidence, the first rung that holds wins.

What lives here: the order of the rungs. What does not: which facts are looked up (`lookup.py`), keeping them (`proxy.state`), reading
bodies (`conversation.py`), the rungs of one conversation (`continuation.py`). Pure: new ids come from the caller, time is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from proxy.identify.attempts import retry_of
from proxy.identify.continuation import Joined, continuation, turn_after
from proxy.identify.conversation import Conversation
from proxy.identify.echo import echoed
from proxy.identify.facts import WINDOW_US, Asked, Calls, Fact, Link, Waiting
from proxy.identify.given import given_id
from proxy.identify.lookup import Hints, Lookup
from proxy.model import Kind, RunSource


@dataclass(frozen=True, slots=True)
class Decision:
    """What the ladder says."""

    source: RunSource
    run_id: str = ""
    """Empty: a new one is to be made, unless the source is `none`."""
    parent_run_id: str = ""
    turn_seq: int = 1
    retry_of: Asked | None = None
    """The step of which this is one more attempt."""
    retry_layer: str = ""
    continues: Asked | None = None
    """The call that this one goes on from."""
    shown: int = 0
    """The key of an id that stands here and that nobody issued: the framework's own, by which the next request is known."""
    evidence: str = field(default="", compare=False)
    """For people who ask why."""

    @property
    def makes_run(self) -> bool:
        """Whether this call begins a run that has no id yet."""
        return not self.run_id and self.source is not RunSource.NONE


def decide(
    seed: int,
    hints: Hints,
    conversation: Conversation,
    look: Lookup,
    found: Mapping[int, Fact],
    now_us: int,
) -> Decision:
    """Climb the ladder."""
    decision = _climb(seed, hints, conversation, look, found, now_us)
    if look.newest_ids and look.ids[0] not in found:
        return replace(decision, shown=look.ids[0])
    return decision


def _climb(
    seed: int,
    hints: Hints,
    conversation: Conversation,
    look: Lookup,
    found: Mapping[int, Fact],
    now_us: int,
) -> Decision:
    is_llm = hints.kind is Kind.LLM
    joined = continuation(seed, hints, conversation, look, found, now_us) if is_llm else None  # fmt: skip
    named = _named(hints, conversation, look, found, joined)
    repeated = retry_of(hints, look, found, now_us)
    if repeated is not None:
        asked, layer = repeated
        source = named.source if named and named.run_id == asked.run_id else RunSource.CONTINUATION  # fmt: skip
        # An equal call that failed, too, is no step before this one: it is for its own client to try again.
        before = joined.asked if joined and joined.asked and look.strict not in joined.asked.keys else None  # fmt: skip
        return Decision(source, asked.run_id, turn_seq=asked.turn_seq, retry_of=asked, retry_layer=layer,
                        continues=before, evidence=f"tried again ({layer})")  # fmt: skip
    if named is not None:
        return named
    if joined is not None:
        return _go_on(RunSource.CONTINUATION, joined)
    return _weaker(hints, conversation, look, found, now_us)


def _weaker(
    hints: Hints,
    conversation: Conversation,
    look: Lookup,
    found: Mapping[int, Fact],
    now_us: int,
) -> Decision:
    """Climb the rungs on which nothing may be enforced."""
    if hints.kind is not Kind.LLM:
        return _window(hints, look, found, now_us)
    quoted = echoed(look.echoes, found)
    if quoted is not None:
        link, count = quoted
        return Decision(RunSource.ECHO, link.run_id, turn_seq=link.turn_seq, evidence=f"{count} pieces of its answers")  # fmt: skip
    source = RunSource.UNMATCHED if conversation.has_history else RunSource.NEW
    return Decision(source, _derived(hints), evidence="nothing known")


def _derived(hints: Hints) -> str:
    """Name the first run of a trace after it, so that all replicas do."""
    return f"trace-{hints.trace_id}" if hints.trace_id else ""


def _named(
    hints: Hints,
    conversation: Conversation,
    look: Lookup,
    found: Mapping[int, Fact],
    joined: Joined | None,
) -> Decision | None:
    """Find the run that ids name."""
    if hints.run:
        return _stated(RunSource.EXPLICIT, hints.run, "", joined)
    if hints.harness_run:
        return _stated(RunSource.HARNESS, hints.harness_run, hints.harness_parent, joined)  # fmt: skip
    if conversation.previous_response_id:
        return _by_response(hints, conversation, look, found)
    if conversation.conversation_id:
        run_id = given_id("conversation", conversation.conversation_id)
        return _stated(RunSource.RESPONSE_ID, run_id, "", joined)
    trace = found.get(look.trace)
    if not isinstance(trace, Link) or trace.is_ambiguous:
        return None
    if joined is not None and joined.is_strong and joined.run_id != trace.run_id:
        return None  # a server's trace that holds several runs
    return _stated(RunSource.TRACEPARENT, trace.run_id, "", joined)


def _stated(
    source: RunSource, run_id: str, parent: str, joined: Joined | None
) -> Decision:
    """Take the run from what was sent, and where in it we are from its conversation: here a second continuation is no run of its own."""
    if joined is None or joined.run_id != run_id:
        return Decision(source, run_id, parent, evidence="an id that was sent")
    return Decision(source, run_id, parent, joined.turn_seq, continues=joined.asked, evidence="an id that was sent")  # fmt: skip


def _by_response(
    hints: Hints, conversation: Conversation, look: Lookup, found: Mapping[int, Fact]
) -> Decision:
    known = found.get(look.response)
    if not isinstance(known, Calls):
        run_id = given_id("response", conversation.previous_response_id)
        return Decision(RunSource.RESPONSE_ID, run_id, evidence="an unknown previous_response_id")  # fmt: skip
    asked = known.asked[-1]
    turn = turn_after(conversation, asked.turn_seq)
    return _go_on(RunSource.RESPONSE_ID, Joined(asked.run_id, turn, asked, "previous_response_id", True))  # fmt: skip


def _go_on(source: RunSource, joined: Joined) -> Decision:
    """Go on with a run, or branch off where the call went on before."""
    asked = joined.asked
    if asked is not None and asked.continued_by:
        return Decision(source, "", asked.run_id, joined.turn_seq, continues=asked, evidence="a second continuation of one call")  # fmt: skip
    return Decision(source, joined.run_id, turn_seq=joined.turn_seq, continues=asked, evidence=joined.evidence)  # fmt: skip


def _window(
    hints: Hints, look: Lookup, found: Mapping[int, Fact], now_us: int
) -> Decision:
    """Find the one run that waits for this call: by the tool's name where that tells, else if only one waits at all."""
    for where in look.waiting:
        known = found.get(where)
        if not isinstance(known, Waiting):
            continue
        if known.crowded_us and now_us - known.crowded_us <= WINDOW_US:
            continue
        waiting = [each for each in known.runs if now_us - each.since_us <= WINDOW_US]
        named = [each for each in waiting if _has_tool(each.tools, hints.tool)]
        fitting = named or waiting
        if len(fitting) == 1:
            run = fitting[0]
            return Decision(RunSource.WINDOW, run.run_id, turn_seq=run.turn_seq, evidence="the only run that waits")  # fmt: skip
    return Decision(RunSource.NONE, evidence="no run, or several, wait")


def _has_tool(asked: tuple[str, ...], called: str) -> bool:
    """Tell whether a tool was asked for; agents put the server's name before it (`mcp__files__read`)."""
    if not called:
        return False
    return any(each == called or (each.endswith(called) and each[-len(called) - 1] in "_.-/:") for each in asked)  # fmt: skip
