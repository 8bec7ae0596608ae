"""All that is known of a call at admission, as its `Open`.

What lives here: what is asked of whom, and the names that a row has. What does not: the rungs of names (`identify/`), how runs are
recognised (`recognition.py`). Ids are made by the caller's function, the clock is an argument.

Whatever goes wrong here costs the call its place in a run, and nothing else: it is counted, and the call goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from proxy.arriving import NO_ASK, Installation, Request
from proxy.govern.asking import Asking
from proxy.govern.governor import Governor
from proxy.govern.tab import Tab
from proxy.http.headers import Headers
from proxy.identify import answering
from proxy.identify.agent_names import AgentNames
from proxy.identify.caller import caller
from proxy.identify.conversation import Conversation
from proxy.identify.explicit import Explicit, read_explicit
from proxy.identify.harness import read_harness
from proxy.identify.hashing import digest, key, utf8
from proxy.identify.lookup import Hints
from proxy.identify.prompts import PromptHashes, Prompts
from proxy.identify.step_names import StepNames
from proxy.identify.tracing import TraceParent, read_traceparent, span_id_of
from proxy.identify.who import Who, who
from proxy.model import ANONYMOUS, Kind
from proxy.recognised import Recognised, named
from proxy.recognition import NO_CONVERSATION, Incoming, Recognizer
from proxy.record.codec import Open
from proxy.trail import Trail

BY_PROMPT = "prompt"
"""In `agent_source`: the name was made of the prompt."""


class Admitted(NamedTuple):
    """What identification found."""

    opened: Open
    trail: Trail | None = None
    """Follows the call; `None` where nothing of it is remembered."""
    prompt_before: int | None = None
    """The hash of the agent's prompt before, where this one is new."""
    tab: Tab | None = None
    """The call's, with the policies; `None` where they have nothing to say."""


@dataclass(slots=True)
class _Names:
    """What a request says of itself."""

    explicit: Explicit
    who: Who
    caller: str
    trace: TraceParent | None
    conversation: Conversation = NO_CONVERSATION
    prompt: int | None = None


class Identifier:
    """Names tenant, agent, caller, run and step of each call; one for a worker."""

    def __init__(
        self,
        installation: Installation,
        recognizer: Recognizer,
        new_id: Callable[[int], str],
        count_ignored: Callable[[int], None],
        fault: Callable[[str], None],
        prompts: Prompts | None = None,
        *,
        governor: Governor | None = None,
    ) -> None:
        """`new_id` gets the wall clock in nanoseconds; `count_ignored` is told how many names of ours were not valid, `fault` the phase.

        Without `governor` nothing limits calls.
        """
        self._installation = installation
        self.recognizer = recognizer
        self._seed = installation.seed
        self._steps = StepNames()
        self._agents = AgentNames({})
        self._hashes = PromptHashes(self._seed)
        self._prompts = prompts or Prompts()
        self.new_id = new_id
        self._count_ignored = count_ignored
        self._fault = fault
        self.governor = governor

    def rename(self, renamed: Mapping[str, str]) -> None:
        """Take the settings' names for names that are made here."""
        self._agents = AgentNames(renamed)

    async def identify(self, request: Request, now_ns: int) -> Admitted:
        """Give the call's `Open`, and remember the call; raises nothing but a cancellation."""
        attempt_id, names = self.new_id(now_ns), self._names(request)
        tab = None
        try:
            prompt_before = await self._read(request, names)
            hints = self._hints(request, names)
            tab = self._tab(request, names, now_ns)
            found = await self._recognised(
                request, names, hints, attempt_id, now_ns, tab
            )
        except Exception:  # noqa: BLE001  # the guard of the phase identify
            self._fault("identify")
            names.conversation = NO_CONVERSATION
            found = named(names.who.tenant, names.explicit.run, request.ask.kind)
            opened = self._open(request, names, found, attempt_id, now_ns)
            tab = tab or self._tab(request, names, now_ns)
            return await self._asked(Admitted(opened, tab=tab))
        opened = self._open(request, names, found, attempt_id, now_ns)
        return await self._asked(Admitted(opened, found.trail, prompt_before, tab))

    async def _asked(self, admitted: Admitted) -> Admitted:
        """Ask the policies, too, where nobody asked them while the call was identified."""
        if admitted.tab is not None and self.governor is not None:
            await self.governor.ask(admitted.tab, admitted.opened)
        return admitted

    def _tab(self, request: Request, names: _Names, now_ns: int) -> Tab | None:
        if self.governor is None:
            return None
        body = request.body
        tenant, agent, _ = names.who
        asking = Asking(
            tenant, agent, names.caller, request.route, request.provider, request.origin, request.ask, now_ns // 1000,
            request.size if body is None else len(body), names.conversation, body,
        )  # fmt: skip
        return self.governor.tab(asking)

    def unremembered(self, request: Request, now_ns: int) -> Open:
        """Give the `Open` of a call that came to nothing: what its head says, and nothing is remembered."""
        names = self._names(request)
        try:
            found = self.recognizer.by_headers(self._hints(request, names))
        except Exception:  # noqa: BLE001  # as above
            self._fault("identify")
            found = named(names.who.tenant, names.explicit.run, request.ask.kind)
        return self._open(request, names, found, self.new_id(now_ns), now_ns)

    def refused(self, headers: Headers, inflight: int, now_ns: int) -> Open:
        """Give the `Open` of a request that is refused before its body is looked at; it is no step of any route."""
        request = Request(headers, "", ANONYMOUS, "", "", "", b"", NO_ASK, inflight)
        return self.unremembered(request, now_ns)

    def _names(self, request: Request) -> _Names:
        home, headers = self._installation, request.headers
        explicit = read_explicit(
            headers, tenant=request.tenant, agent=request.agent, run=request.run
        )
        if explicit.ignored or request.ignored:
            self._count_ignored(explicit.ignored + request.ignored)
        known = who(
            explicit, request.client, headers, tenant=home.tenant, agent=home.agent
        )
        called = caller(home.secret, headers, request.query, request.client.name)
        return _Names(explicit, known, called, read_traceparent(headers))

    async def _read(self, request: Request, names: _Names) -> int | None:
        """Read the conversation, and name the agent by its prompt where nobody did; give the prompt's predecessor where it is new."""
        if request.ask.kind is not Kind.LLM or not request.body:
            return None
        said = await self.recognizer.read(request.body)
        if said is None:
            return None
        names.conversation = said
        names.prompt = self._hashes.hash(said.system, said.tools)
        if names.prompt is None:
            return None
        tenant, agent, _ = names.who
        if not agent:
            agent = self._agents.name(names.prompt, said.system, said.tools)
            names.who = Who(tenant, agent, BY_PROMPT if agent else "")
        return self._prompts.changed(tenant, agent, names.prompt) if agent else None

    async def _recognised(
        self,
        request: Request,
        names: _Names,
        hints: Hints,
        attempt_id: str,
        now_ns: int,
        tab: Tab | None,
    ) -> Recognised:
        is_step, said = request.ask.is_step, names.conversation
        incoming = Incoming(
            hints, attempt_id, is_step, said, request.body or b"", names.who.agent, tab
        )
        if not (is_step or said.items):
            return await self.recognizer.pass_by(incoming, now_ns // 1000)
        return await self.recognizer.recognise(incoming, now_ns // 1000)

    def _hints(self, request: Request, names: _Names) -> Hints:
        headers, ask, seed = request.headers, request.ask, self._seed
        harness = read_harness(headers, names.conversation)
        user_agent = (headers.first(b"user-agent") or b"").decode("latin-1")
        peer, port = request.peer
        where = utf8(f"{request.method} {request.upstream_path}")
        body = request.body
        tenant, agent, source = names.who
        return Hints(
            tenant,
            names.caller,
            ask.kind,
            run=names.explicit.run,
            harness_run=harness.run,
            harness_parent=harness.parent,
            trace_id=names.trace.trace_id if names.trace else "",
            body_hash=0 if body is None else digest(seed, where, request.query, body),
            signature=key(seed, b"client", user_agent, peer),
            connection=key(seed, b"connection", peer, str(port)),
            is_retry=harness.is_retry,
            retry_count=harness.retry_count,
            retry_key=harness.retry_key,
            tool=ask.tool or request.route,
            peer=peer,
            user_agent=user_agent,
            agent="" if source == BY_PROMPT else agent,
            session=names.explicit.session or harness.session,
        )

    def _open(
        self,
        request: Request,
        names: _Names,
        found: Recognised,
        attempt_id: str,
        now_ns: int,
    ) -> Open:
        home, ask = self._installation, request.ask
        explicit, trace = names.explicit, names.trace
        version = f"{names.prompt:016x}" if names.prompt is not None else ""
        step_name, step_name_source = self._step_name(request, names, found.awaited)
        opened = Open(
            attempt_id=attempt_id,
            step_id=attempt_id,
            ts_us=now_ns // 1000,
            instance=home.instance,
            tenant=names.who.tenant,
            env=home.env,
            agent=names.who.agent,
            agent_source=names.who.agent_source,
            agent_version=explicit.agent_version or version,
            prompt_hash=names.prompt,
            caller=names.caller,
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
        return found.placed(opened)

    def _step_name(
        self, request: Request, names: _Names, awaited: tuple[str, ...]
    ) -> tuple[str, str]:
        ask = request.ask
        items = names.conversation.items if ask.is_step else ()
        return self._steps.name(
            names.explicit.step_name,
            ask.kind,
            request.route,
            request.method,
            request.upstream_path,
            ask.operation,
            ask.tool,
            answering.step_name(items, awaited),
        )


def answer_headers(opened: Open) -> list[tuple[bytes, bytes]]:
    """Give what an answer says of the call's place."""
    named = [
        (b"x-tacho-run", opened.run_id),
        (b"x-tacho-step", opened.step_id),
        (b"x-tacho-attempt", str(opened.attempt)),
    ]
    return [(name, value.encode("ascii")) for name, value in named if value]
