"""All that is known of a call at admission, as its `Open`.

What lives here: the order in which the rungs are asked. What does not: the rungs. Ids are made by the caller's function, the
clock is an argument.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.http.headers import Headers
from proxy.identify.caller import caller
from proxy.identify.explicit import Explicit, read_explicit
from proxy.identify.runs import RunCounter, run_of
from proxy.identify.step_names import StepNames
from proxy.identify.tracing import read_traceparent, span_id_of
from proxy.identify.who import who
from proxy.model import ANONYMOUS, Ask, Client, Kind
from proxy.record.codec import Open

NO_ASK = Ask("", "refused", Kind.OTHER, is_step=False)
"""Of a request that was answered here before anything of it was read."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What all calls of this installation have in common."""

    instance: str
    tenant: str
    env: str
    agent: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What identification looks at."""

    headers: Headers
    method: str
    client: Client
    route: str
    provider: str
    upstream_path: str
    query: bytes
    ask: Ask
    inflight: int
    tenant: str = ""
    agent: str = ""
    run: str = ""
    """The last three: what the path named."""


class Identifier:
    """Names tenant, agent, caller, run and step of each call; one for a worker."""

    def __init__(
        self,
        installation: Installation,
        runs: RunCounter,
        new_id: Callable[[int], str],
        count_ignored: Callable[[int], None],
    ) -> None:
        """`new_id` gets the wall clock in nanoseconds; `count_ignored` is told how many names of ours were not valid."""
        self._installation = installation
        self._runs = runs
        self._names = StepNames()
        self._new_id = new_id
        self._count_ignored = count_ignored

    def identify(self, request: Request, now_ns: int) -> Open:
        """Give the call's `Open`; never raises for anything that a request holds."""
        home, ask, headers = self._installation, request.ask, request.headers
        explicit = self._explicit(request)
        named = who(
            explicit, request.client, headers, tenant=home.tenant, agent=home.agent
        )
        run_id, run_source = run_of(explicit.run, ask.kind)
        step_name, step_name_source = self._step_name(request, explicit.step_name)
        trace = read_traceparent(headers)
        attempt_id = self._new_id(now_ns)
        return Open(
            attempt_id=attempt_id,
            step_id=attempt_id,
            ts_us=now_ns // 1000,
            instance=home.instance,
            tenant=named.tenant,
            env=home.env,
            agent=named.agent,
            agent_source=named.agent_source,
            agent_version=explicit.agent_version,
            caller=caller(home.secret, headers, request.query, request.client.name),
            session_id=explicit.session,
            root_run_id=run_id,
            run_id=run_id,
            run_source=run_source,
            step_seq=self._step_seq(named.tenant, run_id, ask, now_ns // 1000),
            step_name=step_name,
            step_name_source=step_name_source,
            is_step=ask.is_step,
            kind=ask.kind,
            route=request.route,
            provider=request.provider,
            operation=ask.operation,
            dialect=ask.dialect,
            model_requested=ask.model,
            stream=ask.stream,
            tags=explicit.tags,
            inflight=request.inflight,
            trace_id=trace.trace_id if trace else "",
            span_id=span_id_of(attempt_id),
            parent_span_id=trace.parent_span_id if trace else "",
        )

    def _explicit(self, request: Request) -> Explicit:
        explicit = read_explicit(
            request.headers, tenant=request.tenant, agent=request.agent, run=request.run
        )
        if explicit.ignored:
            self._count_ignored(explicit.ignored)
        return explicit

    def _step_seq(self, tenant: str, run_id: str, ask: Ask, now_us: int) -> int | None:
        if not run_id or not ask.is_step:
            return None
        return self._runs.next_step(tenant, run_id, now_us)

    def _step_name(self, request: Request, given: str) -> tuple[str, str]:
        return self._names.name(
            given,
            request.ask.kind,
            request.route,
            request.method,
            request.upstream_path,
            request.ask.operation,
            request.ask.tool,
        )

    def refused(self, headers: Headers, inflight: int, now_ns: int) -> Open:
        """Give the `Open` of a request that is refused before its body is looked at; it is no step of any route."""
        request = Request(headers, "", ANONYMOUS, "", "", "", b"", NO_ASK, inflight)
        return self.identify(request, now_ns)
