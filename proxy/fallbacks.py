"""When a call goes to another upstream of its route: where the first one's breaker is open, or nobody there takes the connection.

What lives here: that rule, and which of a route's fallbacks comes next. What does not: what changes on the way there (`accept/detours.py`),
making the attempt (`attempting.py`).

Nothing of the request has been sent in either case, so that no work is done twice.
"""

import msgspec

from proxy.accept.detours import AGENTS_KEY, Detour, admitted, leads_to
from proxy.attempting import Step, Way
from proxy.call import Accepted, Call
from proxy.forward.http1 import AnswerHead
from proxy.forward.watch import Ending
from proxy.judge.gates import Gate
from proxy.meter.dialects import recognise
from proxy.meter.members import find_member, read_members
from proxy.model import ErrorType, Outcome

UNREACHED = frozenset({ErrorType.CONNECT, ErrorType.DNS, ErrorType.TLS, ErrorType.CONNECT_TIMEOUT})  # fmt: skip
_MODEL = "model"
_BOUND = frozenset({"previous_response_id", "previous_interaction_id", "conversation"})
"""Members of requests that go on from what the first upstream keeps."""


class Fallbacks:
    """Finds other upstreams; a `Finder`."""

    def began(self, step: Step) -> None:
        """See `Finder`."""

    def keeps(self, step: Step, head: AnswerHead) -> int:
        """See `Finder`: an answer is never a reason."""
        return 0

    def find(self, step: Step, ending: Ending) -> Way | None:
        """See `Finder`."""
        first = step.before[0] if step.before else step.accepted
        detours = step.call.snapshot.detours.get(first.match.route.name)
        if not detours or first.upgrade or not _is_unreached(step, ending):
            return None
        if not step.asked.is_step or _is_bound(step.agents):
            return None
        gone = {each.match.route.name for each in (*step.before, step.accepted, *step.refused)}  # fmt: skip
        ways = (
            _way(step, first, each) for each in detours if each.route.name not in gone
        )
        return next((each for each in ways if each is not None), None)


def is_unsent(step: Step, ending: Ending) -> bool:
    """Tell whether an attempt ended before anything of it was sent, since nobody took the connection."""
    is_failed = ending.outcome in (Outcome.UPSTREAM_ERROR, Outcome.TIMEOUT)
    was_sent = step.ledger.exchange.measures.sent_at is not None
    return is_failed and ending.error_type in UNREACHED and not was_sent


def _is_unreached(step: Step, ending: Ending) -> bool:
    if ending.outcome is not Outcome.BLOCKED:
        return is_unsent(step, ending)
    verdict = None if step.tab is None else step.tab.verdict
    return verdict is not None and verdict.policy == Gate.BREAKER


def _is_bound(call: Call) -> bool:
    """Tell whether a call goes on from what the first upstream keeps: nobody else knows of it."""
    members = read_members(call.readable_body() or b"")
    return members is not None and any(bytes(members.get(each, msgspec.Raw(b"null"))) != b"null" for each in _BOUND)  # fmt: skip


def _way(step: Step, first: Accepted, detour: Detour) -> Way | None:
    """Give the way to another upstream; `None` where it would read the call as something else, or cannot be asked so."""
    match = leads_to(first.match, detour)
    agents, route = step.agents, detour.route
    method = agents.agent.method.decode("ascii")
    dialect, operation = recognise(route.kind, route.dialect, method, match.upstream_path)  # fmt: skip
    if (dialect.name, operation.name) != (first.dialect.name, first.operation.name):
        return None
    signer = agents.snapshot.signers.get(route.name)
    if signer is not None and agents.body is None:
        return None
    admission = first.admission
    if detour.key != AGENTS_KEY:
        admission = admitted(
            admission.client, agents.headers, first.match.query, detour
        )
    accepted = Accepted(match, admission, dialect, operation, upgrade=False, signer=signer)  # fmt: skip
    model = detour.model(step.asked.model)
    if model == step.asked.model:
        return Way(accepted, agents, step.asked)
    body = renamed(agents.readable_body() or b"", model)
    if body is None:
        return None
    ask = msgspec.structs.replace(step.asked, model=model)
    return Way(accepted, agents.with_body(body), ask, (_MODEL,))


def renamed(body: bytes, model: str) -> bytes | None:
    """Name another model in a request, and leave all its other bytes; `None` where it names none, or none that can be found."""
    members = read_members(body)
    if members is None or _MODEL not in members:
        return None
    place = find_member(body, members, _MODEL)
    if place is None:
        return None
    said = msgspec.json.encode(model)
    made = (
        body[: place.value] + said + body[place.value + len(bytes(members[_MODEL])) :]
    )
    again = read_members(made)
    return made if again is not None and bytes(again[_MODEL]) == said else None
