"""The store while the product is stopped, as a fake child; with the real one in `tests/end_to_end/`."""

import importlib.util
import sys
from pathlib import Path

import pytest

from proxy.cli import store_alone
from proxy.cli.options import Loaded
from proxy.config import Settings
from proxy.errors import TachoError
from proxy.supervise.spec import ChildSpec
from tests.helpers.processes import environ, fake_argv, notes


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "spool").mkdir()
    return Loaded(Settings(data_dir=str(tmp_path)), "", environ())


def use(
    monkeypatch: pytest.MonkeyPatch,
    data_dir: Path,
    *options: str,
    exporter: str = "pass",
) -> None:
    """Stand in for the store child and for the exporter, the latter by a line of Python."""
    argv = fake_argv("store", data_dir, "--address", "127.0.0.1:7", *options)
    monkeypatch.setattr(
        store_alone,
        "store",
        lambda _: ChildSpec("store", argv, ready_within_seconds=60.0),
    )
    monkeypatch.setattr(
        store_alone, "module_argv", lambda *_: (sys.executable, "-c", exporter)
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())


def test_it_runs_for_one_question(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use(monkeypatch, tmp_path)
    with store_alone.store_alone(loaded) as store:
        assert store.url == "http://127.0.0.1:7"
        assert "store ready" in notes(tmp_path)
    assert notes(tmp_path)[-1] == "store ended"


def test_what_is_pending_is_loaded_first(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "spool" / "1.seg").write_bytes(b"x" * 10)
    script = "import os, sys; open('seen', 'w').write(os.environ['TACHO_STORE_LISTEN'] + ' ' + sys.argv[1])"
    use(monkeypatch, tmp_path, exporter=script)
    monkeypatch.chdir(tmp_path)
    with store_alone.store_alone(loaded):
        assert (tmp_path / "seen").read_text() == "127.0.0.1:7 --drain"


@pytest.mark.parametrize(
    ("exporter", "drain_seconds", "why"),
    [
        ("import sys; sys.exit('rows are locked')", 60.0, "rows are locked"),
        ("import sys; sys.exit(4)", 60.0, "the exporter ended with 4"),
        ("import signal; signal.pause()", 0.5, "the exporter was not done after 0.5 s"),
    ],
    ids=["says why", "silent", "hangs"],
)
def test_what_cannot_be_loaded_is_said_in_one_line(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    exporter: str, drain_seconds: float, why: str,
):  # fmt: skip
    (tmp_path / "spool" / "1.seg").write_bytes(b"x" * 10)
    use(monkeypatch, tmp_path, exporter=exporter)
    monkeypatch.setattr(store_alone, "DRAIN_SECONDS", drain_seconds)
    with store_alone.store_alone(loaded):
        said = capsys.readouterr().err
    assert (
        said
        == f"tacho: up to 10 bytes of records in {tmp_path} are not loaded: {why}\n"
    )


def test_without_an_exporter_that_is_said(
    loaded: Loaded,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "spool" / "1.seg").write_bytes(b"x")
    use(monkeypatch, tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with store_alone.store_alone(loaded):
        assert "there is no exporter in this installation" in capsys.readouterr().err


def test_a_store_that_cannot_start_says_why(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use(monkeypatch, tmp_path, "--refuse")
    with (
        pytest.raises(
            TachoError,
            match="the store cannot be started: tacho store: the fake cannot start",
        ),
        store_alone.store_alone(loaded),
    ):
        raise AssertionError("not to be reached")


def test_a_store_that_does_not_stop_is_killed(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use(monkeypatch, tmp_path, "--stubborn")
    with store_alone.store_alone(loaded):
        monkeypatch.setattr(store_alone, "STOP_SECONDS", 0.2)
    assert notes(tmp_path)[-1] in ("store shrugged", "store ready")


def test_where_nothing_was_ever_recorded_there_is_nothing_to_ask(tmp_path: Path):
    empty = Loaded(Settings(data_dir=str(tmp_path / "none")), "", environ())
    with (
        pytest.raises(
            TachoError, match=r"there is nothing in .*/none yet; start with: tacho up"
        ),
        store_alone.store_alone(empty),
    ):
        raise AssertionError("not to be reached")
    assert not (tmp_path / "none").exists()
