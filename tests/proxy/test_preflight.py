"""What must hold before anything faces the network."""

import resource
import subprocess
import sys

import pytest

from proxy.preflight import few_files_warning, raise_file_limit, require_c_parser
from tests.helpers.processes import environ


def test_P11_aiohttp_without_its_c_parser_refuses_to_start_in_one_line(tmp_path):
    ended = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "proxy",
            "up",
            "--data-dir",
            str(tmp_path / "data"),
        ],
        env=environ(AIOHTTP_NO_EXTENSIONS="1"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("tacho: aiohttp runs without its C parser")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_P11_aiohttp_with_its_c_parser_is_accepted():
    require_c_parser()


def test_the_file_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch):
    limits = [(1024, 8192)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    assert raise_file_limit() == 8192
    assert limits[-1] == (8192, 8192)


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch):
    def refuse(_: int, __: tuple[int, int]) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 8192))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_file_limit() == 1024


def test_no_limit_is_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        resource,
        "getrlimit",
        lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    )
    assert raise_file_limit() >= 1 << 20


def test_few_files_are_warned_of_with_a_remedy():
    assert few_files_warning(4096) == ""
    assert "ulimit -n" in few_files_warning(1024)
