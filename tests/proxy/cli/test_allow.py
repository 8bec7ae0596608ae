"""`tacho allow` sends the wish until it is answered, and says what came of it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.allowance import PATH, Said, denied
from proxy.cli.main import main
from proxy.control import ControlServer, Probes, json_route, socket_path

DONE = {"allowed": True, "tenant": "t", "run": "r1", "root": "r1", "session": "", "recorded": True}  # fmt: skip


@contextmanager
def supervisor(data_dir: Path, *said: Said) -> Iterator[list[dict[str, Any]]]:
    """Serve a control socket that answers so, one after the other; what is asked is in the list."""
    asked: list[dict[str, Any]] = []
    rest = iter(said)

    async def take(body: bytes) -> Said:
        asked.append(msgspec.json.decode(body))
        return next(rest)

    async def serve() -> None:
        probes = Probes(lambda: (True, {}), lambda: True, lambda: b"", dict)
        server = ControlServer(socket_path(data_dir, "tacho"), probes, [json_route(PATH, take)])  # fmt: skip
        await server.start()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        started.set_result(lambda: loop.call_soon_threadsafe(stop.set))
        await stop.wait()
        await server.close()

    started: Future[Callable[[], object]] = Future()
    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="supervisor")
    thread.start()
    end = started.result(60)
    try:
        yield asked
    finally:
        end()
        thread.join(60)


def allow(tmp_path: Path, *words: str) -> int:
    return main(["allow", *words, "--data-dir", str(tmp_path)])


def test_a_run_goes_on_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # fmt: skip
    with supervisor(tmp_path, (200, DONE)) as asked:
        assert allow(tmp_path, "r1") == 0
    assert capsys.readouterr().out == "run r1 of tenant t may go on: the same limits, with nothing used up\n"  # fmt: skip
    assert asked[0] | {"id": ""} == {"run": "r1", "tenant": "", "session": False, "id": ""}  # fmt: skip
    assert len(asked[0]["id"]) == 32


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"run": "c", "session": "s"}, "run r1, of which c is a part, and session s of tenant t may go on"),
        ({"run": "", "root": "", "session": "s"}, "session s of tenant t may go on"),
    ],
)  # fmt: skip
def test_what_goes_on_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: dict[str, Any], said: str):  # fmt: skip
    with supervisor(tmp_path, (200, DONE | answer)) as asked:
        assert allow(tmp_path, "c", "--session", "--tenant", "t") == 0
    assert capsys.readouterr().out.startswith(said)
    assert (asked[0]["session"], asked[0]["tenant"]) == (True, "t")


def test_a_program_gets_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with supervisor(tmp_path, (200, DONE)):
        assert allow(tmp_path, "r1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == DONE


def test_what_is_not_written_down_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # fmt: skip
    with supervisor(tmp_path, (200, DONE | {"recorded": False})):
        assert allow(tmp_path, "r1") == 0
    assert "a restart would forget it" in capsys.readouterr().err


def test_a_no_is_1_and_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with supervisor(tmp_path, denied(404, "unknown_run", "no run is called r1")):
        assert allow(tmp_path, "r1") == 1
    assert capsys.readouterr().err == "tacho: no run is called r1\n"


def test_one_wish_is_sent_again_under_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # fmt: skip
    with supervisor(
        tmp_path
    ) as asked:  # it fails at each, with something that is no JSON
        assert allow(tmp_path, "r1") == 1
    assert len(asked) == 2
    assert asked[0] == asked[1]
    assert "not running" in capsys.readouterr().err


def test_not_running_is_1_and_says_how_to_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # fmt: skip
    assert allow(tmp_path, "r1") == 1
    assert capsys.readouterr().err == f"tacho: not running on the data directory {tmp_path}; start it with: tacho up --data-dir {tmp_path}\n"  # fmt: skip


def test_without_a_run_it_is_usage(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["allow"])
    assert ended.value.code == 2
    assert "RUN" in capsys.readouterr().err
