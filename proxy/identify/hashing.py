"""Keyed 64-bit hashes, and how they are mixed.

What lives here: hashing bytes, chaining hashes, making keys. What does not: what is hashed. All of it is keyed by a seed, because short
messages can be guessed from plain hashes.
"""

from collections.abc import Iterable

from xxhash import xxh3_64, xxh3_64_intdigest

MASK = (1 << 64) - 1

LONG_BYTES = 64 << 10
_BETWEEN = b"\x00\xff\x00"
"""Not in UTF-8, so that what is moved from one piece to the next makes a difference."""


def digest(seed: int, *pieces: bytes) -> int:
    """Hash pieces. Never 0."""
    if len(pieces[-1]) > LONG_BYTES:
        return _digest_long(seed, pieces)
    return xxh3_64_intdigest(_BETWEEN.join(pieces), seed) or 1


def _digest_long(seed: int, pieces: Iterable[bytes]) -> int:
    """Hash the same without making one of them: copying a large body would take longer than hashing it."""
    hashed, between = xxh3_64(seed=seed), b""
    for piece in pieces:
        hashed.update(between)
        hashed.update(piece)
        between = _BETWEEN
    return hashed.intdigest() or 1


def mix(chain: int, value: int) -> int:
    """Add one more hash to a chain; both are keyed hashes already. Never 0.

    CPython hashes a tuple of integers alike in all processes and, since 3.8, versions; `PYTHONHASHSEED` is for texts only. It is four
    times as fast as anything written here, and a long conversation is mixed twice.
    """
    return (hash((chain, value)) & MASK) or 1


def added(first: int, second: int) -> int:
    """Put hashes together so that it makes no difference in how many steps."""
    return (first + second) & MASK


def key(seed: int, kind: bytes, *parts: str) -> int:
    """Make the key of a fact from texts; kinds and lengths keep different things apart."""
    return digest(seed, kind, *map(utf8, parts))


def utf8(text: str) -> bytes:
    """Give the bytes of a text that may hold half a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
