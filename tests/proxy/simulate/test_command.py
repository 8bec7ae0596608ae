"""The command serves until it is stopped, and says what is wrong with its flags."""

import signal
import socket
import subprocess
import sys

import pytest

from proxy.simulate.command import main
from tests.helpers.simulated import asking, call, path_of


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_address_and_serves_until_stopped(number):
    command = [sys.executable, "-m", "proxy.simulate", "--speed", "0", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" answers at ")[1].split(". ")[0]
        said = call(
            url, path_of("openai_chat"), asking("openai_chat", "<<plan: say Hi.>>")
        )
        assert said.json()["choices"][0]["message"]["content"] == "Hi."
        process.send_signal(number)
        assert process.wait(10) == 0
        process.stdout.read()


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--fault-rate", "cut=7"], "fault rate 'cut=7'"),
        (["--speed", "-1"], "not negative"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags, problem, capsys):
    assert main(flags) == 2
    assert problem in capsys.readouterr().err


def test_a_limit_below_one_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--requests-per-minute", "0"])
    assert "not above 0" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--port", str(taken.getsockname()[1])]) == 1
    assert "--port 0 takes any free port" in capsys.readouterr().err
