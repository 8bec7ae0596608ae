import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.config import Settings, StoreSettings, ensure_data_dir
from proxy.errors import StartError


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_makes_private_folders_and_secrets(tmp_path):
    root = tmp_path / "deep" / "data"
    made = ensure_data_dir(Settings(data_dir=str(root)))
    assert mode(root) == 0o700
    assert {path.name for path in root.iterdir()} == {
        "dead", "read_token", "rows", "run", "secret", "spool", "store", "write_token",
    }  # fmt: skip
    assert all(
        mode(root / name) == 0o700
        for name in ("run", "spool", "rows", "rows/cursors", "store", "dead")
    )
    assert all(
        mode(root / name) == 0o600 for name in ("secret", "read_token", "write_token")
    )
    assert len({made.secret, made.read_token.encode(), made.write_token.encode()}) == 3
    assert len(made.secret) == 64
    assert made.read_token not in repr(made)


def test_the_next_start_finds_the_same_secrets(tmp_path):
    settings = Settings(data_dir=str(tmp_path))
    assert ensure_data_dir(settings) == ensure_data_dir(settings)


def test_given_secrets_are_not_written(tmp_path):
    settings = Settings(
        data_dir=str(tmp_path),
        secret="given",
        store=StoreSettings(read_token="r", write_token="w"),
    )
    made = ensure_data_dir(settings)
    assert (made.secret, made.read_token, made.write_token) == (b"given", "r", "w")
    assert not (tmp_path / "secret").exists()


def test_processes_that_start_together_agree(tmp_path):
    settings = Settings(data_dir=str(tmp_path))
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: ensure_data_dir(settings), range(64)))
    assert len(set(made)) == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_that_exists_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o750)
    ensure_data_dir(Settings(data_dir=str(tmp_path)))
    assert mode(tmp_path) == 0o750


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "é"])
def test_a_secret_that_was_damaged_is_not_used(tmp_path, content):
    (tmp_path / "secret").write_text(content, encoding="utf-8")
    with pytest.raises(StartError, match="secret holds no usable text; restore it"):
        ensure_data_dir(Settings(data_dir=str(tmp_path)))


def test_a_link_in_place_of_a_secret_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text("stolen")
    (tmp_path / "secret").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError, match="cannot be used"):
        ensure_data_dir(Settings(data_dir=str(tmp_path)))


def test_a_file_in_place_of_the_directory_is_refused_in_one_line(tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(
        StartError, match=r"data_dir .* cannot be used: .*; correct its permissions"
    ) as refused:
        ensure_data_dir(Settings(data_dir=str(tmp_path / "data")))
    assert "\n" not in str(refused.value)


def test_a_directory_that_cannot_be_written_is_refused_even_if_all_is_there(
    tmp_path, monkeypatch
):
    settings = Settings(data_dir=str(tmp_path))
    ensure_data_dir(settings)
    really_open = os.open

    def read_only(path, flags, mode=0o777):
        if flags & os.O_CREAT:
            raise OSError(30, "Read-only file system", str(path))
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(StartError, match="Read-only file system"):
        ensure_data_dir(settings)
