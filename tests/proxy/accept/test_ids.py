import uuid

from proxy.accept.ids import uuid7

NOW_NS = 1_760_000_000_123_456_789


def test_an_id_is_a_uuid_of_version_7_that_tells_its_millisecond():
    made = uuid.UUID(uuid7(NOW_NS, 2**62 - 1))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == NOW_NS // 1_000_000


def test_ids_sort_by_time_within_a_millisecond():
    assert (
        uuid7(NOW_NS, 2**62 - 1)
        < uuid7(NOW_NS + 1_000, 0)
        < uuid7(NOW_NS + 1_000_000, 0)
    )


def test_more_random_bits_than_fit_are_cut():
    assert uuid7(0, 2**80 + 5) == uuid7(0, 5)
    assert len(uuid7(0, 0)) == 32
