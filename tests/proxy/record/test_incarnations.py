import os

import pytest

from proxy.record.incarnations import claim, incarnations, is_locked, lock


def test_incarnations_are_listed_oldest_first_and_hidden_ones_not_at_all(tmp_path):
    fds = [
        claim(tmp_path / worker / name)
        for worker, name in [("w1", "b"), ("w0", "c"), ("w0", "a")]
    ]
    (tmp_path / "w0" / ".unfinished").mkdir()
    (tmp_path / "stray").write_bytes(b"")
    assert [each.id for each in incarnations(tmp_path)] == ["w0/a", "w1/b", "w0/c"]
    for fd in fds:
        os.close(fd)


def test_no_directory_has_no_incarnations(tmp_path):
    assert incarnations(tmp_path / "none") == []


def test_directory_is_never_claimed_twice(tmp_path):
    fd = claim(tmp_path / "w0" / "a")
    with pytest.raises(FileExistsError):
        claim(tmp_path / "w0" / "a")
    os.close(fd)


def test_asking_does_not_disturb_the_owner_and_death_frees_the_lock(tmp_path):
    fd = lock(tmp_path / "lock")
    assert is_locked(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        lock(tmp_path / "lock")
    assert is_locked(tmp_path / "lock")
    os.close(fd)
    assert not is_locked(tmp_path / "lock")
    os.close(lock(tmp_path / "lock"))
    assert not is_locked(tmp_path / "none")
