"""The accounts of a worker's exchanges: how one is begun, and those that are under way.

What lives here: what an account is told at its beginning of the request that it is for. What does not: the account (`ledger.py`).
"""

from functools import partial

from proxy.call import Accepted, Call
from proxy.desk import Desk
from proxy.govern.tab import Tab
from proxy.http.leading_back import LeadingBack
from proxy.http.sse_endpoint import SseEndpoint
from proxy.judge.refusals import Asker
from proxy.ledger import Ledger
from proxy.model import Ask, Kind
from proxy.record.codec import Open
from proxy.trail import Trail


class Ledgers:
    """Begins accounts; one for a worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.under_way: set[Ledger] = set()

    def __len__(self) -> int:
        """Give the number of those that are under way."""
        return len(self.under_way)

    def begin(
        self,
        call: Call,
        accepted: Accepted,
        ask: Ask,
        opened: Open,
        trail: Trail | None,
        tab: Tab | None = None,
        began: float | None = None,
    ) -> Ledger:
        """Give the account of an attempt; `began` where it is not the request's first, on the monotonic clock."""
        match = accepted.match
        ledger = Ledger(self._desk, opened, call.began if began is None else began, ask, accepted.dialect, trail, tab)  # fmt: skip
        ledger.exchange.altered += [*match.altered, *accepted.admission.altered]
        ledger.vetting.asker = partial(asker_of, call, accepted)
        if began is None:
            ledger.exchange.measures.body_wait_seconds = call.agent.body_wait
        if match.route.kind is Kind.MCP:
            _lead_back(call, accepted, ledger)
        return ledger


def asker_of(call: Call, accepted: Accepted) -> Asker:
    """Say who is answered where a policy refuses the call."""
    agent = call.agent
    user_agent, accept = agent.get(b"user-agent") or b"", agent.get(b"accept") or b""
    provider = accepted.match.route.provider
    return Asker(accepted.dialect.name, provider, user_agent, accept, call.readable_body())  # fmt: skip


def _lead_back(call: Call, accepted: Accepted, ledger: Ledger) -> None:
    """Have URLs that an MCP server names lead back here; a stream that names none has no end to wait for."""
    path = call.agent.target.partition(b"?")[0]
    match = accepted.match
    leading_back = LeadingBack(match.route.base, path, match.upstream_path)
    ledger.leads_back(leading_back)
    if accepted.operation.names_endpoint:
        endpoint = SseEndpoint(leading_back)
        ledger.may_name(endpoint)
        call.agent.endless = lambda: not endpoint.named
