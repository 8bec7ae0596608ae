"""What is known of a request before it is identified."""

from proxy.arriving import NO_ASK, Installation


def test_the_seed_follows_from_the_secret_which_nobody_is_shown():
    one, two = (Installation("i", "t", "", "", secret) for secret in (b"s3cret", b"other"))  # fmt: skip
    assert one.seed != two.seed
    assert "s3cret" not in repr(one)


def test_a_request_that_was_not_read_is_no_step():
    assert not NO_ASK.is_step
