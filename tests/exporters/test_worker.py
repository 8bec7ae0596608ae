import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from exporters.worker import destinations
from proxy.config import ensure_data_dir, load
from tests.helpers.processes import PATIENCE_SECONDS
from tests.helpers.spooled import Writer, make_close, make_end, make_open


def write_settings(tmp_path: Path, clickhouse: str = '""') -> Path:
    path = tmp_path / "tacho.yaml"
    path.write_text(
        f"data_dir: {tmp_path / 'data'}\n"
        f"exporters:\n  clickhouse: {{url: {clickhouse}}}\n  jsonl: {{directory: {tmp_path / 'out'}}}\n"
    )
    return path


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start exporters; none of them outlives the test, however it ends."""
    started: list[subprocess.Popen[bytes]] = []

    def run(config: Path, *more: str) -> "subprocess.Popen[bytes]":
        module = [sys.executable, "-m", "exporters.worker"]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(
                [*module, "--config", str(config), *more],
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for the end; stdin stays open until then, since its end is a wish to stop."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.wait(PATIENCE_SECONDS)
    process.stdin.close()
    with process.stdout, process.stderr:
        return process.returncode, process.stderr.read().decode()


def attempts(tmp_path: Path) -> list[str]:
    path = tmp_path / "out" / "steps.jsonl"
    return (
        [
            msgspec.json.decode(line)["attempt_id"]
            for line in path.read_bytes().splitlines()
        ]
        if path.exists()
        else []
    )


def size(tmp_path: Path) -> int:
    path = tmp_path / "out" / "steps.jsonl"
    return path.stat().st_size if path.exists() else 0


def test_settings_choose_the_destinations(tmp_path):
    settings = load(str(write_settings(tmp_path)), {})
    assert list(destinations(settings, ensure_data_dir(settings))) == ["jsonl"]
    settings = load(str(write_settings(tmp_path, "embedded")), {})
    assert list(destinations(settings, ensure_data_dir(settings))) == [
        "clickhouse",
        "jsonl",
    ]


def test_drain_brings_everything_home_and_exits_zero(tmp_path, start):
    writer = Writer(tmp_path / "data" / "spool", "a")
    writer.write(make_open("1"), make_close("1"), make_end("1"), make_open("2"))
    writer.die()
    assert finish(start(write_settings(tmp_path), "--drain")) == (0, "")
    assert attempts(tmp_path) == ["1", "2"]
    assert finish(start(write_settings(tmp_path), "--drain")) == (0, "")
    assert attempts(tmp_path) == ["1", "2"]


@pytest.mark.parametrize("how", ["sigterm", "stdin"])
def test_stop_delivers_what_is_pending_and_exits_zero(tmp_path, start, how):
    process = start(write_settings(tmp_path))
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    writer = Writer(tmp_path / "data" / "spool", "a")
    writer.write(make_open("1"), make_close("1"), make_end("1"))
    if how == "sigterm":
        process.send_signal(signal.SIGTERM)
    else:
        assert process.stdin is not None
        process.stdin.close()
    assert finish(process)[0] == 0
    assert attempts(tmp_path) == ["1"]
    writer.die()


@pytest.mark.timeout(300)
def test_killed_at_any_moment_each_row_is_in_the_file_once(tmp_path, start):
    """Six kills while records keep coming; `make drill` does this at length.

    A moment is a number of records, so that a slow machine is hit like a fast one; in every second life a row got home.
    """
    config = write_settings(tmp_path)
    writer = Writer(tmp_path / "data" / "spool", "a")
    number = 0
    for kill in range(6):
        process = start(config)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        due, home = number + 90 * kill + 1, size(tmp_path)
        while number < due or (kill % 2 and size(tmp_path) == home):
            number += 1
            writer.write(
                make_open(str(number)), make_close(str(number)), make_end(str(number))
            )
            time.sleep(0.001)
        process.kill()
        finish(process)
    writer.die()
    assert finish(start(config, "--drain"))[0] == 0
    assert attempts(tmp_path) == [str(each + 1) for each in range(number)]


def test_second_exporter_on_one_data_directory_says_so_in_one_line(tmp_path, start):
    first = start(write_settings(tmp_path))
    assert first.stdout is not None
    assert first.stdout.readline() == b"ready\n"
    status, errors = finish(start(write_settings(tmp_path)))
    assert status == 3
    assert errors.count("\n") == 1
    assert "another exporter" in errors
    first.terminate()
    assert finish(first)[0] == 0
