"""Flags win over the environment, which wins over the file; children get the same."""

import argparse
import sys
from pathlib import Path

import pytest

from proxy.cli import options
from proxy.cli.options import Loaded, add_json, add_serving, as_given, load_settings
from proxy.errors import SettingsError


def loaded(*words: str, serves: bool = False) -> Loaded:
    parser = argparse.ArgumentParser()
    add_serving(parser)
    add_json(parser)
    return load_settings(parser.parse_args(words), serves=serves)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TACHO_CONFIG", raising=False)


def test_without_a_file_there_are_defaults():
    found = loaded()
    assert (found.path, found.settings.listen) == ("", "127.0.0.1:4141")


def test_flags_win_and_reach_children(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TACHO_LISTEN", "127.0.0.1:1")
    found = loaded(
        "--listen", "127.0.0.1:2", "--admin-listen", "127.0.0.1:3", "--data-dir", "d"
    )
    assert (
        found.settings.listen,
        found.settings.admin.listen,
        found.settings.data_dir,
    ) == (
        "127.0.0.1:2",
        "127.0.0.1:3",
        "d",
    )
    assert found.environ["TACHO_LISTEN"] == "127.0.0.1:2"
    assert found.again() == found.settings


def test_a_file_is_found_by_flag_then_variable_then_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("tachograph.yaml", "variable.yaml", "flag.yaml"):
        (tmp_path / name).write_text(f"tenant: {name.split('.')[0]}\n")
    assert loaded().settings.tenant == "tachograph"
    monkeypatch.setenv("TACHO_CONFIG", "variable.yaml")
    assert loaded().settings.tenant == "variable"
    found = loaded("--config", "flag.yaml")
    assert (found.settings.tenant, found.path) == ("flag", str(tmp_path / "flag.yaml"))


def test_advice_leads_to_the_same_place():
    parser = argparse.ArgumentParser()
    add_serving(parser)
    assert as_given(parser.parse_args([])) == ""
    words = ["--config", "my file.yaml", "--data-dir", "d"]
    assert as_given(parser.parse_args(words)) == " --config 'my file.yaml' --data-dir d"


def test_only_who_runs_workers_must_know_how_they_share(tmp_path: Path):
    file = tmp_path / "tachograph.yaml"
    file.write_text("workers: 2\n")
    assert loaded().settings.workers == loaded().again().workers == 2
    with pytest.raises(SettingsError, match="workers: is 2, but state is memory"):
        loaded(serves=True)
    file.write_text("workers: 1\n")
    found = loaded(serves=True)
    assert found.again() == found.settings
    file.write_text("workers: 2\n")
    with pytest.raises(SettingsError, match="workers: is 2, but state is memory"):
        found.again()


STARTED = {
    "as a program on the path": ("/usr/bin/tacho", "/usr/bin/tacho", "tacho"),
    "by a path": (".venv/bin/tacho", None, ".venv/bin/tacho"),
    "by another path than that of the program": ("/opt/a b/tacho", "/usr/bin/tacho", "'/opt/a b/tacho'"),
    "as a module": ("/src/proxy/__main__.py", None, f"{sys.executable} -m proxy"),
    "within something else": ("/usr/bin/pytest", None, "tacho"),
}  # fmt: skip


@pytest.mark.parametrize(("typed", "on_path", "words"), STARTED.values(), ids=STARTED)
def test_advice_begins_as_the_command_was_typed(typed, on_path, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", [typed])
    monkeypatch.setattr(options, "which", lambda _: on_path)
    assert options.as_started() == words
