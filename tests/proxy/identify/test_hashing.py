import xxhash

from proxy.identify.hashing import LONG_BYTES, added, digest, key, mix, utf8


def test_what_moves_from_one_piece_to_the_next_makes_a_difference():
    assert digest(1, b"ab", b"c") != digest(1, b"a", b"bc")
    assert digest(1, b"ab") != digest(2, b"ab")


def test_long_pieces_are_hashed_like_short_ones():
    long = b"x" * (LONG_BYTES + 1)
    whole = b"a" + b"\x00\xff\x00" + long
    assert (
        digest(1, b"a", long) == xxhash.xxh3_64_intdigest(whole, 1) == digest(1, whole)
    )


def test_chains_depend_on_order_and_sums_do_not():
    assert mix(mix(1, 2), 3) != mix(mix(1, 3), 2)
    assert added(added(5, 1 << 63), 1 << 63) == added(5, 0)
    assert mix(1, 2) == 14896688948223909699  # in all replicas


def test_keys_of_different_kinds_differ():
    assert key(1, b"id", "x") != key(1, b"trace", "x") != key(2, b"trace", "x")
    assert utf8("\ud800") == b"\xed\xa0\x80"
