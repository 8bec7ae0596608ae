import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from exporters.worker import destinations
from proxy.config import ensure_data_dir, load
from tests.helpers.spooled import Writer, make_close, make_end, make_open


def write_settings(tmp_path: Path, clickhouse: str = '""') -> Path:
    path = tmp_path / "tacho.yaml"
    path.write_text(
        f"data_dir: {tmp_path / 'data'}\n"
        f"exporters:\n  clickhouse: {{url: {clickhouse}}}\n  jsonl: {{directory: {tmp_path / 'out'}}}\n"
    )
    return path


def start(config: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "exporters.worker", "--config", str(config), *more]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for the end; stdin stays open until then, since its end is a wish to stop."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.wait(20)
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


def test_settings_choose_the_destinations(tmp_path):
    settings = load(str(write_settings(tmp_path)), {})
    assert list(destinations(settings, ensure_data_dir(settings))) == ["jsonl"]
    settings = load(str(write_settings(tmp_path, "embedded")), {})
    assert list(destinations(settings, ensure_data_dir(settings))) == [
        "clickhouse",
        "jsonl",
    ]


def test_drain_brings_everything_home_and_exits_zero(tmp_path):
    writer = Writer(tmp_path / "data" / "spool", "a")
    writer.write(make_open("1"), make_close("1"), make_end("1"), make_open("2"))
    writer.die()
    assert finish(start(write_settings(tmp_path), "--drain")) == (0, "")
    assert attempts(tmp_path) == ["1", "2"]
    assert finish(start(write_settings(tmp_path), "--drain")) == (0, "")
    assert attempts(tmp_path) == ["1", "2"]


@pytest.mark.parametrize("how", ["sigterm", "stdin"])
def test_stop_delivers_what_is_pending_and_exits_zero(tmp_path, how):
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


def test_killed_at_any_moment_each_row_is_in_the_file_once(tmp_path):
    """Six kills while records keep coming; `make drill` does this at length."""
    config = write_settings(tmp_path)
    writer = Writer(tmp_path / "data" / "spool", "a")
    number = 0
    for kill in range(6):
        process = start(config)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 0.1 + 0.09 * kill
        while time.monotonic() < deadline:
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


def test_second_exporter_on_one_data_directory_says_so_in_one_line(tmp_path):
    first = start(write_settings(tmp_path))
    assert first.stdout is not None
    assert first.stdout.readline() == b"ready\n"
    status, errors = finish(start(write_settings(tmp_path)))
    assert status == 3
    assert errors.count("\n") == 1
    assert "another exporter" in errors
    first.terminate()
    assert finish(first)[0] == 0
