"""Who may keep the state, and what is said where nobody could."""

import pytest

from proxy.config import Settings
from proxy.config.state_checks import (
    check_shared,
    check_state,
    worker_names,
    wrong_with,
)
from proxy.errors import SettingsError

RIGHT = [
    "redis://h",
    "redis://user:pa%20ss@h:7000/3",
    "redis://[::1]:7000?db=2",
    "rediss://:s3cret@h/1?ssl_ca_certs=/ca.pem&ssl_check_hostname=true",
    "unix:///run/redis.sock?db=4",
]
WRONG = {
    "http://u:s3cret@h": "redis://",
    "redis:/u:s3cret@h": "with a host",
    " redis://u:s3cret@h": "redis://",
    "redis://": "with a host",
    "redis://u:s3cret@h/x": "database's number",
    "redis://u:s3cret@h/0/1": "database's number",
    "redis://u:s3cret@h:99999": "redis://",
    "redis://u:s3cret@[h": "redis://",
    "redis://u:s3cret@h?max_connections=9&protocol=3": "2 are unknown",
    "unix://": "unix:///PATH",
}


@pytest.mark.parametrize("url", RIGHT)
@pytest.mark.parametrize("workers", [1, 3])
def test_redis_may_keep_the_state_of_one_worker_or_of_several(url, workers):
    check_state(Settings(state=url, workers=workers))


@pytest.mark.parametrize(("url", "remedy"), WRONG.items(), ids=WRONG)
def test_another_url_is_refused_without_being_quoted(url, remedy):
    assert remedy in wrong_with(url)
    with pytest.raises(SettingsError, match=r"^state: is \(not shown\); it must be memory, or ") as refused:  # fmt: skip
        check_state(Settings(state=url))
    assert remedy in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_several_workers_do_not_start_on_a_memory_that_they_cannot_share():
    check_shared(Settings())
    check_shared(Settings(workers=2, state="redis://h"))
    with pytest.raises(SettingsError, match="workers: is 2, but state is memory") as refused:  # fmt: skip
        check_shared(Settings(workers=2))
    assert "set state (or TACHO_STATE) to redis://HOST:6379/0" in str(refused.value)


def test_there_is_an_end_to_workers():
    with pytest.raises(SettingsError, match="workers: is 257; it must be at most 256"):
        check_state(Settings(workers=257, state="redis://h"))


def test_workers_have_names_in_their_order():
    assert worker_names(Settings(workers=3)) == ("w0", "w1", "w2")


def test_the_url_is_no_part_of_what_settings_look_like():
    assert "s3cret" not in repr(Settings(state="redis://:s3cret@h"))
