"""What a request is refused for before anything of it is done, and what an agent is told of a call that failed unanswered.

What lives here: the words and the numbers. What does not: routes and clients, which refuse for themselves (`accept/`), and the
bytes of a refusal (`forward/refusals.py`).
"""

from proxy.accept.refusal import Refusal
from proxy.forward.agent import Agent
from proxy.forward.watch import Ending
from proxy.model import ErrorType, Outcome

_STATUS_OF_ERROR = {
    ErrorType.BODY_TIMEOUT: 408,
    ErrorType.INVALID_REQUEST: 400,
    ErrorType.TOO_LARGE: 413,
    ErrorType.ADMISSION: 503,
    ErrorType.DRAINING: 503,
}
_STATUS_OF_OUTCOME = {Outcome.TIMEOUT: 504, Outcome.PROXY_ERROR: 500}
_BAD_GATEWAY = 502

NO_WEBSOCKET = Refusal(
    426,
    "no_websocket",
    ErrorType.INVALID_REQUEST,
    "this route relays no WebSocket; use HTTP, or set websocket: true on the route",
    (("Upgrade", "HTTP/1.1"),),
)
FULL = Refusal(
    503,
    "too_many_calls",
    ErrorType.ADMISSION,
    "too many calls are under way here; try again, or raise limits.max_inflight",
    (("Retry-After", "1"),),
)


def status_of(ending: Ending) -> int:
    """Give the status that tells an agent of an exchange that failed before it was answered."""
    return _STATUS_OF_ERROR.get(ending.error_type) or _STATUS_OF_OUTCOME.get(
        ending.outcome, _BAD_GATEWAY
    )


def refuse_head(agent: Agent) -> Refusal | None:
    """Refuse what the parser lets pass but two servers could read differently; nothing that follows can be trusted."""
    coding = agent.get(b"transfer-encoding")
    if agent.version not in ((1, 0), (1, 1)):
        return _bad("bad_version", "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if coding is not None and coding.lower() != b"chunked":
        return _bad("bad_framing", "only the transfer coding chunked is understood")
    if agent.minor_version >= 1 and not agent.get(b"host"):
        return _bad("bad_host", "the Host header is empty")
    if agent.head_too_large:
        message = "the request's head is too large; limits.max_header_bytes says how large it may be"
        return Refusal(431, "head_too_large", ErrorType.TOO_LARGE, message)
    return None


def _bad(code: str, message: str) -> Refusal:
    return Refusal(400, code, ErrorType.INVALID_REQUEST, message)
