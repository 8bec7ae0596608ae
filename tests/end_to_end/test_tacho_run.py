"""`tacho run`, `tacho runs` and `tacho show` over the whole product: an agent with an official SDK that knows nothing of us.

What lives here: what the agent sees, what the rows say, what a user reads. What does not: the parts of the commands (`tests/proxy/cli`).
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from tests.helpers.installation import tacho
from tests.helpers.processes import ROOT, environ
from tests.helpers.replay import Player
from tests.helpers.sdk import answer, refusal
from tests.helpers.stack import Stack, running_stack

pytestmark = pytest.mark.timeout(180)

AGENT = """
import os, sys, openai
client = openai.OpenAI(api_key="sk-a-key-of-tests")
for word in ("one", "two"):
    said = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": word}])
    print(said.choices[0].message.content)
print(os.environ["TACHO_RUN"], os.environ["TACHO_AGENT"])
sys.exit(int(sys.argv[1]))
"""


@dataclass
class Ran:
    """What the commands did, and the product that they went through."""

    stack: Stack
    player: Player
    agent: Path
    good: "subprocess.CompletedProcess[str]"
    bad: "subprocess.CompletedProcess[str]"

    def json(self, *words: str) -> Any:
        said = tacho(self.stack.product.config, *words, "--json")
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout)


def run(
    config: Path, *words: str, command: tuple[str, ...], **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _argv(config, *words, command=command),
        capture_output=True,
        text=True,
        timeout=60,
        env=environ(**variables),
        cwd=ROOT,
        check=False,
    )


def _argv(config: Path, *words: str, command: tuple[str, ...]) -> list[str]:
    ours = [sys.executable, "-P", "-m", "proxy", "run", "--config", str(config)]
    return [*ours, *words, "--", *command]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    place = tmp_path_factory.mktemp("run")
    player = Player()
    agent = place / "agent.py"
    agent.write_text(AGENT)
    exporters = {"clickhouse": {"url": "embedded"}}
    with running_stack(place, player, exporters=exporters) as stack:
        config = stack.product.config

        def ask(status: str, *words: str) -> "subprocess.CompletedProcess[str]":
            command = (sys.executable, str(agent), status)
            return run(config, *words, "--agent", "booker", command=command)

        player.script = [answer("openai"), refusal("openai", 429), answer("openai")]
        good = ask("0", "--name", "good-1", "--tag", "team=blue")
        player.script = [answer("openai"), answer("openai")]
        bad = ask("3", "--run", "bad-1")
        yield Ran(stack, player, agent, good, bad)


def test_the_command_has_its_results_and_its_exit_status(ran: Ran):
    assert (ran.good.returncode, ran.bad.returncode) == (0, 3)
    assert ran.good.stdout.splitlines() == ["Hi.", "Hi.", "good-1 booker"]


def test_the_line_at_the_end_says_what_it_took_and_how_to_see_more(ran: Ran):
    line = ran.good.stderr.splitlines()[-1]
    assert line.startswith("tacho: run good-1: success, ")
    assert "33 tokens in" not in line  # a refused attempt has no tokens
    assert "22 tokens in, 6 out, $0.0001" in line
    config = quote(str(ran.stack.product.config))
    assert line.endswith(f"proxy show good-1 --config {config}")
    assert "run bad-1: failure, 2 steps" in ran.bad.stderr


def test_the_rows_have_the_run_the_agent_and_the_tags(ran: Ran):
    rows = ran.stack.sql(
        "SELECT run_id, run_source, agent, tags, outcome FROM steps WHERE run_id = 'good-1' ORDER BY ts"
    )
    assert [row["outcome"] for row in rows] == ["completed", "rejected", "completed"]
    assert {(row["run_source"], row["agent"], row["tags"]["team"]) for row in rows} == {
        ("explicit", "booker", "blue")
    }


def test_the_upstream_sees_nothing_of_the_run(ran: Ran):
    for request in ran.stack.origin.requests:
        assert b"good-1" not in request.start
        assert not [n for n, _ in request.headers if n.lower().startswith(b"x-tacho")]


def test_the_outcome_is_an_event(ran: Ran):
    events = ran.stack.sql(
        "SELECT run_id, agent, reason, source, detail FROM events WHERE type = 'outcome' ORDER BY ts"
    )
    assert [tuple(event.values()) for event in events[:2]] == [
        ("good-1", "booker", "success", "reported", '{"reason":"exit status 0"}'),
        ("bad-1", "booker", "failure", "reported", '{"reason":"exit status 3"}'),
    ]


def test_runs_lists_them_with_their_outcomes(ran: Ran):
    found = {row["run"]: row for row in ran.json("runs", "--since", "1h")}
    assert {run: found[run]["outcome"] for run in ("good-1", "bad-1")} == {
        "good-1": "success",
        "bad-1": "failure",
    }
    good = found["good-1"]
    assert (good["agent"], good["source"], good["attempts"]) == (
        "booker",
        "explicit",
        3,
    )
    said = tacho(ran.stack.product.config, "runs", "--agent", "booker")
    assert "good-1" in said.stdout
    none = tacho(ran.stack.product.config, "runs", "--agent", "nobody")
    assert (none.returncode, none.stdout) == (0, "")
    assert "proxy run --config" in none.stderr


def test_show_names_each_attempt_and_why_one_failed(ran: Ran):
    said = tacho(ran.stack.product.config, "show", "goo")
    assert said.returncode == 0, said.stderr
    assert (
        "run good-1 · booker (named in the URL) · success (reported, exit status 0)"
        in said.stdout
    )
    assert "rejected: rate_limited, HTTP 429" in said.stdout
    assert "\x1b" not in said.stdout
    shown = ran.json("show", "good-1")
    assert [each["http_status"] for each in shown["attempts"]] == [200, 429, 200]
    total = sum(each["usd"] or 0 for each in shown["attempts"])
    assert shown["run"]["usd"] == pytest.approx(total)


def test_a_run_that_is_not_there_says_what_to_do(ran: Ran):
    said = tacho(ran.stack.product.config, "show", "nope")
    assert said.returncode == 1
    assert "tacho runs" in said.stderr


def test_a_late_report_wins_over_the_exit_status(ran: Ran):
    body = b'{"outcome": "abandoned", "reason": "the user said so"}'
    answered = _post(ran.stack, "/run/bad-1/outcome", body)
    assert answered == 202
    deadline = time.monotonic() + 30
    while _of(ran.json("runs"), "bad-1")["outcome"] != "abandoned":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_without_a_call_the_run_is_known_by_its_outcome(ran: Ran):
    config = ran.stack.product.config
    said = run(config, "--name", "idle-1", command=(sys.executable, "-c", "pass"))
    assert "run idle-1: success, command" in said.stderr
    shown = tacho(config, "show", "idle-1")
    assert shown.returncode == 0
    assert "no call of this run passed here" in shown.stderr


def test_what_leads_elsewhere_is_left_alone_and_said(ran: Ran):
    script = "import os; print(os.environ['OPENAI_BASE_URL'])"
    said = run(
        ran.stack.product.config,
        "--no-outcome",
        "--no-summary",
        command=(sys.executable, "-c", script),
        OPENAI_BASE_URL="https://llm.corp.test/v1",
    )
    assert said.stdout == "https://llm.corp.test/v1\n"
    assert "OPENAI_BASE_URL leads to llm.corp.test" in said.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_command_and_its_status_comes_back(number: int, ran: Ran):
    script = "import time; print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        _argv(
            ran.stack.product.config,
            "--no-summary",
            command=(sys.executable, "-c", script),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=environ(),
        cwd=ROOT,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    os.kill(process.pid, number)
    assert process.wait(30) == 128 + number
    process.stdout.close()


def test_the_product_must_run(tmp_path: Path):
    config = tmp_path / "tachograph.json"
    config.write_text(json.dumps({"data_dir": str(tmp_path / "data")}))
    said = run(config, command=(sys.executable, "-c", "print('ran')"))
    assert (said.returncode, said.stdout) == (3, "")
    assert "proxy up --config" in said.stderr


def test_stopped_the_product_answers_all_the_same(ran: Ran):
    """Comes last: it stops the product and starts it again."""
    product = ran.stack.product
    assert product.stop() == 0
    said = tacho(product.config, "show", "good-1")
    assert "rejected: rate_limited, HTTP 429" in said.stdout, said.stderr
    assert "good-1" in tacho(product.config, "runs").stdout
    product.start()


def _of(rows: list[dict[str, Any]], run_id: str) -> dict[str, Any]:
    return next(row for row in rows if row["run"] == run_id)


def _post(stack: Stack, path: str, body: bytes) -> int:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", stack.product.port, timeout=20)
    try:
        connection.request("POST", path, body)
        return connection.getresponse().status
    finally:
        connection.close()
