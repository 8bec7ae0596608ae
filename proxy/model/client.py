"""Who calls, and which names a caller may give."""

import re

import msgspec


class Client(msgspec.Struct, frozen=True):
    """Who calls, as far as a client key says it; `ANONYMOUS` where no keys are set up."""

    name: str = ""
    """The key's name in the settings; empty for `ANONYMOUS`."""
    tenant: str = ""
    """The tenant that the key decides; empty: the installation's."""
    agent: str = ""
    may_set: frozenset[str] = frozenset()
    """What the request itself may name: `tenant`, `agent`."""


ANONYMOUS = Client(may_set=frozenset({"agent"}))
"""Without keys the agent that a request names counts, the tenant does not."""


_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def is_id(text: str) -> bool:
    """Tell whether a client may give this text as an id (of a run, a session, a tenant, an agent in a path)."""
    return _ID.fullmatch(text) is not None
