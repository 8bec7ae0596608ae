import logging

import pytest
from redis.exceptions import NoPermissionError, OutOfMemoryError, ResponseError

from proxy.state.redis_asked import Script
from proxy.state.redis_trouble import RECENT_SECONDS, Trouble, code_of, kinds_of

ONE, OTHER, PROBE = Script("1"), Script("2"), Script("3", is_probe=True)


@pytest.mark.parametrize(("error", "code"), [
    (OutOfMemoryError("command not allowed when used memory > 'maxmemory'. script: 5f, on @user_script:99."), "OOM"),
    (ResponseError("Error running script (call to f_5f): @user_script:9: -OOM command not allowed"), "OOM"),
    (ResponseError("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk"), "MISCONF"),
    (NoPermissionError("this user has no permissions to run the 'hset' command"), "NOPERM"),
    (ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value script: 5f"), "WRONGTYPE"),
    (ResponseError("ERR something"), "ERR"),
    (ResponseError("something"), "ERR"),
])  # fmt: skip
def test_an_error_has_a_word(error: ResponseError, code: str):
    assert code_of(error) == code


def words(trouble: Trouble) -> str:
    return trouble.words(is_connected=True, is_slow=False)


def test_the_worst_is_said():
    trouble = Trouble("h:1/0")
    assert trouble.words(is_connected=False, is_slow=True) == "redis at h:1/0 is not connected"  # fmt: skip
    assert trouble.words(is_connected=True, is_slow=True) == "redis at h:1/0 is slow"
    assert words(trouble) == ""


def test_errors_of_one_question_are_said_until_its_script_works_again():
    trouble = Trouble("h")
    assert not trouble.failed(ONE, ResponseError("WRONGTYPE x"))
    assert not trouble.failed(OTHER, ResponseError("ERR x"))
    assert words(trouble) == "redis at h answers with errors: ERR, WRONGTYPE"
    assert not trouble.worked(OTHER)
    assert words(trouble) == "redis at h answers with errors: WRONGTYPE"
    trouble.began()
    assert words(trouble) == ""


def test_an_error_of_a_script_that_nobody_needs_again_is_not_said_for_ever():
    now = [5.0]
    trouble = Trouble("h", lambda: now[0])
    trouble.failed(ONE, ResponseError("WRONGTYPE x"))
    now[0] += RECENT_SECONDS - 1
    assert words(trouble)
    now[0] += 1
    assert words(trouble) == ""


def test_that_nothing_is_taken_in_ends_when_the_probe_works():
    trouble = Trouble("h")
    assert trouble.failed(ONE, ResponseError("MISCONF x"))
    assert words(trouble) == "redis at h takes nothing in: it cannot write to its disk (MISCONF)"  # fmt: skip
    assert not trouble.worked(ONE)
    assert trouble.worked(PROBE)
    assert not trouble.worked(PROBE)
    assert words(trouble) == ""


def test_the_same_is_logged_now_and_then(caplog: pytest.LogCaptureFixture):
    trouble = Trouble("h")
    with caplog.at_level(logging.WARNING, "tacho.state"):
        for _ in range(3):
            trouble.failed(ONE, ResponseError("OOM x"))
            trouble.failed(ONE, ResponseError("ERR x"))
    assert [each.getMessage() for each in caplog.records] == ["redis_refuses", "redis_error"]  # fmt: skip


def test_what_went_wrong_is_named_by_its_kinds():
    cause = OSError()
    wrapped = RuntimeError()
    wrapped.__cause__ = cause
    assert kinds_of(ExceptionGroup("g", [wrapped, ValueError(), ExceptionGroup("h", [OSError()])])) == "OSError ValueError"  # fmt: skip
