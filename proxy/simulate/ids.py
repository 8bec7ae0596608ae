"""Ids in the providers' forms, unique within a process and the same for the same seed.

What lives here: making them. What does not: their prefixes, which belong to the families.
"""

from hashlib import blake2b

_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LENGTH = 24


class Ids:
    """An endless row of endings for ids."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._made = 0

    def next(self) -> str:
        """Give one that was never given before."""
        self._made += 1
        digest = blake2b(f"{self._seed}:{self._made}".encode(), digest_size=24).digest()
        number = int.from_bytes(digest)
        found = ""
        for _ in range(LENGTH):
            number, place = divmod(number, len(_SIGNS))
            found += _SIGNS[place]
        return found


def hexadecimal(ending: str) -> str:
    """Give an ending in the form of OpenAI's Responses: 48 hexadecimal digits."""
    return ending.encode().hex()
