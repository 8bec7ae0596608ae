"""What names a tool call.

What lives here: the id of a call, from the answer that asks for it or from a later request that repeats it. What does not: finding calls
(`messages.py`).

Some families give their calls no id, some count them anew in each answer, and then an id of ours takes its place: a hash of name, arguments and
place in the answer. A later request repeats all three, so that a result finds its call from what stands there. Two answers that ask for the same
thing at the same place have the same id.
"""

from collections import Counter
from collections.abc import Sequence

from proxy.identify.hashing import digest, utf8
from proxy.identify.items import is_telling

_PREFIX = "tacho_call_"


def call_ids(
    seed: int, calls: Sequence[tuple[str, str]], arguments: Sequence[bytes]
) -> list[str]:
    """Give the ids of an answer's calls: `calls` are id and name of each, `arguments` canonical and aligned with them."""
    issued = Counter(call_id for call_id, _ in calls)
    return [
        call_id
        if issued[call_id] == 1 and is_telling(call_id)
        else own_id(seed, name, written, place)
        for place, ((call_id, name), written) in enumerate(
            zip(calls, arguments, strict=True)
        )
    ]


def own_id(seed: int, name: str, arguments: bytes, place: int) -> str:
    """Make an id of a call's name, canonical arguments and place among the calls of its answer."""
    hashed = digest(seed, b"call", utf8(name), b"%d" % place, arguments)
    return f"{_PREFIX}{hashed:016x}"
