import os
import stat

import pytest

from proxy.record.disk import Disk, make_directory, replace_file


def test_directories_and_files_are_private(tmp_path):
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a" / "b")
    replace_file(tmp_path / "a" / "b" / "f", b"x")
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "f")
    ]
    assert modes == [0o700, 0o700, 0o600]


def test_replacing_a_file_that_does_not_fit_keeps_the_old_one(tmp_path, monkeypatch):
    replace_file(tmp_path / "f", b"old")
    monkeypatch.setattr(os, "write", lambda fd, data: len(data) - 1)
    with pytest.raises(OSError, match="No space"):
        replace_file(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"


def test_disk_writes_syncs_and_measures(tmp_path):
    disk = Disk()
    fd = disk.create(tmp_path / "f")
    assert disk.write(fd, b"abc") == 3
    disk.sync(fd)
    disk.sync_directory(tmp_path)
    os.close(fd)
    assert (tmp_path / "f").read_bytes() == b"abc"
    assert disk.free_bytes(tmp_path) > 0
