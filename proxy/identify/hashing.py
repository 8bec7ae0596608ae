"""Keyed 64-bit hashes, and how they are mixed.

What lives here: hashing bytes, chaining hashes, making keys. What does not: what is hashed. All of it is keyed by a seed, because short
messages can be guessed from plain hashes.
"""

import xxhash

_MASK = (1 << 64) - 1


_BETWEEN = b"\x00\xff\x00"
"""Not in UTF-8, so that what is moved from one piece to the next makes a difference."""


def digest(seed: int, *pieces: bytes) -> int:
    """Hash pieces. Never 0."""
    return xxhash.xxh3_64_intdigest(_BETWEEN.join(pieces), seed) or 1


def mix(chain: int, value: int) -> int:
    """Add one more hash to a chain; both are keyed hashes already. Never 0.

    CPython hashes a tuple of integers alike in all processes and, since 3.8, versions; `PYTHONHASHSEED` is for texts only. It is four
    times as fast as anything written here, and a long conversation is mixed twice.
    """
    return (hash((chain, value)) & _MASK) or 1


def added(first: int, second: int) -> int:
    """Put hashes together so that it makes no difference in how many steps."""
    return (first + second) & _MASK


def key(seed: int, kind: bytes, *parts: str) -> int:
    """Make the key of a fact from texts; kinds and lengths keep different things apart."""
    return digest(seed, kind, *map(utf8, parts))


def utf8(text: str) -> bytes:
    """Give the bytes of a text that may hold half a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")
