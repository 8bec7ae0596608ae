"""Ids that clients give, made into ids that may be used.

What lives here: deriving an id that every replica derives alike. What does not: where ids stand in a request.
"""

import hashlib

from proxy.model import is_id


def given_id(kind: str, given: str) -> str:
    """Give `<kind>-<given>`, or its hash where the given text may be no id; empty of nothing.

    Two providers may use one id: the kind keeps them apart. The hash is not keyed, so that replicas agree without a secret.
    """
    if not given:
        return ""
    named = f"{kind}-{given}"
    if is_id(named):
        return named
    hashed = hashlib.blake2b(given.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{kind}-{hashed.hexdigest()}"
