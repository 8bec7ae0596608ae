"""The wish that a run which was stopped may go on, as people and programs send it, and how it is answered.

What lives here: reading the wish, and answers that say no. What does not: fulfilling it (`allowing.py`), passing it on (`supervise/`).
"""

from typing import Any

import msgspec

from proxy.errors import TachoError

PATH = "/allow"
"""Of the admin port, and of every control socket that takes it."""
MAX_BYTES = 4096
_LONGEST = 200
Said = tuple[int, dict[str, Any]]
"""An HTTP status, and what goes with it as JSON."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """That a run goes on."""

    run: str
    """Its id, or the beginning of it; with `session`, a session's whole id will do."""
    tenant: str = ""
    """Empty: the one that has such a run."""
    session: bool = False
    """That what the run's session has used is forgotten, too."""
    id: str = ""
    """Names the wish: the same again changes nothing, so that it can be sent until there is an answer."""


def read(body: bytes) -> Wish:
    """Read a wish; raise `TachoError`, which says what would be right."""
    example = 'send JSON like {"run": "RUN"}, with "tenant", "session" (true) and "id" where they matter'
    if len(body) > MAX_BYTES:
        raise TachoError(f"the wish has {len(body)} bytes, and {MAX_BYTES} will do; {example}")  # fmt: skip
    try:
        wish = msgspec.json.decode(body, type=Wish)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TachoError(f"the wish cannot be read ({error}); {example}") from error
    if not wish.run:
        raise TachoError(f"the wish names no run; {example}")
    if max(len(wish.run), len(wish.tenant), len(wish.id)) > _LONGEST:
        raise TachoError(f"no name has more than {_LONGEST} characters; {example}")
    return wish


def denied(status: int, code: str, message: str) -> Said:
    """Answer that nothing was done, and why."""
    return status, {"error": {"code": code, "message": message}}
