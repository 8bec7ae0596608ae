"""What a policy may read of a call: everything that is known at its admission, and nothing of any other call.

What lives here: the value. What does not: making it (whoever admits calls), what policies remember of earlier calls (`claims.py`).
"""

import msgspec

from proxy.model import Kind


class Case(msgspec.Struct, frozen=True):
    """One call that asks for admission. Hashes are keyed, 64 bits, never 0; texts in them were masked (`masking.py`) before."""

    tenant: str
    agent: str
    caller: str
    route: str
    provider: str
    origin: str
    """Scheme, host and port of the upstream."""
    model: str
    kind: Kind
    operation: str
    is_step: bool
    now_us: int
    """Of the steady clock, microseconds since the epoch."""
    is_retry: bool = False
    """A later attempt of a step that was admitted before (`attempt` > 0): no new step, no new entry in a series."""
    run_id: str = ""
    """Empty: the call belongs to no run."""
    turn_seq: int = 1
    session_id: str = ""
    max_output_tokens: int | None = None
    input_tokens: int = 0
    """Estimated."""
    window_tokens: int | None = None
    """How much the model can read; `None` where nobody knows."""
    expected_nano: int = 0
    """Nano-dollars that the call is expected to cost at most (`expected.py`)."""
    worst_nano: int = 0
    """Nano-dollars if the answer is as long as it may be."""
    expected_tokens: int = 0
    """Input and output."""
    body: int = 0
    """Hash of what is asked; 0 where the body was not read."""
    calls: tuple[int, ...] = ()
    """Name and arguments of each call whose result is new in this request."""
    tools: tuple[str, ...] = ()
    """The name of the tool of each of `calls`."""
    results: tuple[int, ...] = ()
    """What each of `calls` returned, in the same order."""
    errors: tuple[int, ...] = ()
    """Those of `results` that say that the call failed."""
