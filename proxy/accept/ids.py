"""Ids of our own: UUIDv7 in hex, which sort by time."""

_RANDOM_BITS = 62
_SUB_MILLISECOND_STEPS = 4096


def uuid7(now_ns: int, random: int) -> str:
    """Give 32 hex digits: milliseconds, their fraction in 4096ths (RFC 9562 §6.2, method 3), 62 random bits.

    `now_ns` is the wall clock in nanoseconds since the epoch; of `random` the low 62 bits count.
    """
    millis, rest = divmod(now_ns, 1_000_000)
    fraction = rest * _SUB_MILLISECOND_STEPS // 1_000_000
    high = (millis & (1 << 48) - 1) << 16 | 0x7 << 12 | fraction
    low = 0b10 << _RANDOM_BITS | random & (1 << _RANDOM_BITS) - 1
    return f"{high:016x}{low:016x}"
