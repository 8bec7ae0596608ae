"""The request that goes upstream: the agent's own, or, for a stream without token counts, one that asks for them.

What lives here: when usage is asked for on the agent's behalf, and remembering who refuses that; signing anew where an agent's
AWS signature is for this proxy's host. What does not: the splice (`meter/inject.py`), the signature (`http/sigv4.py`), the
head's bytes (`forward/heads.py`), taking the counts out of the answer (`ledger.py`).
"""

from dataclasses import replace

from proxy.call import Accepted, Call
from proxy.forward.connect import Connector
from proxy.forward.heads import Changes, request_head
from proxy.forward.origin import Origin, UpstreamRequest
from proxy.http.sigv4 import region_signed_for
from proxy.ledger import INJECTION_REFUSED, Ledger
from proxy.meter.inject import splice
from proxy.meter.notes import add_note
from proxy.model import Outcome

_INJECTING = frozenset({("openai_chat", "chat"), ("openai_completions", "completions")})
"""Dialects and operations whose streams carry usage only when asked; Ollama's own API on the same route knows no such field."""
_VOUCHING = (b"content-md5", b"digest", b"content-digest", b"repr-digest", b"signature-input")  # fmt: skip
_SIGNED, _SIGNED_TARGET = b"AWS4-", b"X-Amz-Signature="


class Outbound:
    """Composes upstream requests; one for a worker."""

    def __init__(self, connector: Connector) -> None:
        """The connector says how the egress proxy wants targets."""
        self._connector = connector
        self._refusing: set[tuple[str, str]] = set()

    def compose(
        self, call: Call, accepted: Accepted, ledger: Ledger
    ) -> UpstreamRequest:
        """Give the request, and the agent's own beside it where it was altered."""
        agent, route = call.agent, accepted.match.route
        base = route.base
        origin = Origin(base.host, base.port, base.scheme == "https", route.ca_file, route.allow_link_local)  # fmt: skip
        own = self._with_note(call, accepted, ledger)
        whole = own is not None
        is_ours = call.is_rewritten or own is not call.body
        length = len(own) if own is not None and is_ours else None
        plainly = ledger.vetting.wants_plain(ledger.ask, agent.get(b"accept-encoding") or b"")  # fmt: skip
        changes = Changes(length, call.is_rewritten, identity=plainly, body_is_here=whole, chunked=agent.chunked, upgrade=accepted.upgrade)  # fmt: skip
        limits = call.snapshot.limits[route.name]
        if accepted.operation.names_endpoint:
            # Such a stream is silent until there is something to say, for hours perhaps.
            limits = replace(limits, idle_seconds=None)
        plain = UpstreamRequest(
            origin,
            limits,
            agent.method,
            self._head(call, accepted, origin, own or b"", changes),
            call.begun if own is None else own,
            more=not whole,
            chunked=agent.chunked,
            upgrade=accepted.upgrade,
        )
        if accepted.signer is not None:
            ledger.exchange.altered.append("resigned")
        body = self._asking_for_usage(own, accepted, ledger)
        if body is None:
            return plain
        ledger.injected()
        changes = Changes(len(body), call.is_rewritten, identity=True, body_is_here=True, chunked=agent.chunked)  # fmt: skip
        head = self._head(call, accepted, origin, body, changes)
        return plain.altered(head, body)

    def _head(
        self,
        call: Call,
        accepted: Accepted,
        origin: Origin,
        body: bytes,
        changes: Changes,
    ) -> bytes:
        """Give the head of a request with this body."""
        authority = accepted.match.route.base.authority()
        method = call.agent.method
        target = accepted.admission.target(accepted.match.upstream_target)
        headers = accepted.admission.headers(call.agent.headers)
        if accepted.signer is not None:
            region = region_signed_for(call.headers.first(b"authorization") or b"")
            headers = accepted.signer.sign(
                method, target, authority, headers, body, call.ts_ns, region
            )
        if self._connector.speaks_absolute(origin):
            target = b"http://" + authority + target
        return request_head(method, target, authority, headers, changes)

    def _with_note(
        self, call: Call, accepted: Accepted, ledger: Ledger
    ) -> bytes | None:
        """Give the agent's body, with what the model is to be told of warnings where that can be done; `None` where it was not read."""
        body = call.body
        note = ledger.judging.note() if body else ""
        if not note or not _may_change(call, accepted):
            return body
        dialect = ledger.ask.dialect
        made = ledger.guarded(lambda text: add_note(dialect, text, note), body or b"")
        if made is None:
            return body
        ledger.judging.noted()
        return made

    def _asking_for_usage(
        self, body: bytes | None, accepted: Accepted, ledger: Ledger
    ) -> bytes | None:
        ask = ledger.ask
        if (
            body is None
            or accepted.match.route.stream_usage != "inject"
            or (ask.dialect, ask.operation) not in _INJECTING
            or not ask.stream
            or ask.includes_usage
            or _key(ledger) in self._refusing
        ):
            return None
        made = ledger.guarded(splice, body)
        return None if made is None else made.body

    def learn(self, ledger: Ledger) -> None:
        """Remember an upstream that refused the field and took the same request without it."""
        closed = ledger.exchange.closed
        taken = closed is not None and closed.outcome is Outcome.COMPLETED
        if taken and INJECTION_REFUSED in ledger.exchange.altered:
            self._refusing.add(_key(ledger))


def _may_change(call: Call, accepted: Accepted) -> bool:
    """Tell whether nobody but us vouches for the body's bytes, and they are the text itself."""
    if any(call.headers.first(each) for each in _VOUCHING):
        return False
    coding = (call.headers.first(b"content-encoding") or b"identity").lower()
    signature = call.headers.first(b"authorization") or b""
    is_signed = signature.startswith(_SIGNED) or _SIGNED_TARGET in call.agent.target
    return coding == b"identity" and (accepted.signer is not None or not is_signed)


def _key(ledger: Ledger) -> tuple[str, str]:
    opened = ledger.exchange.opened
    return opened.route, opened.operation
