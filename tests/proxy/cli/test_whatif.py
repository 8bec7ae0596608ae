"""`tacho whatif`: what is asked of the store, what is said, and what is refused."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.cli.main import main
from proxy.replay.rows import Row
from tests.helpers.fake_store import FakeStore, fake_store
from tests.helpers.judging import NOW_US
from tests.helpers.replayed import SECOND, row
from tests.helpers.run_rows import NOW, run_row
from tests.helpers.stored import as_line

CALLS = "-- Which calls were made"
MINUTES = "-- How many lines has each minute"
RUNS = "-- How did the latest runs go"
MOVED_US = round(NOW.timestamp() * SECOND) - NOW_US


def now(name: str, second: float, **changes: Any) -> Row:
    """Give a row whose time is that of `run_rows.NOW`, the begin of all its runs."""
    made = row(name, second, **changes)
    return msgspec.structs.replace(made, began_us=made.began_us + MOVED_US, closed_us=made.closed_us + MOVED_US)  # fmt: skip


def written(*rows: Row) -> tuple[int, bytes]:
    encoder = msgspec.json.Encoder(decimal_format="number")
    return 200, b"".join(encoder.encode(each) + b"\n" for each in rows)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeStore]:
    monkeypatch.chdir(tmp_path)
    with fake_store() as server:
        rows = [now("R1", n, step=n + 1) for n in range(5)] + [now("R2", 9)]
        runs = (as_line(run_row(each, tenant="acme")) for each in ("R1", "R2"))
        minute = (200, b'{"minute_us": "1763831400000000", "calls": 6}\n')
        server.answers = {
            MINUTES: minute,
            CALLS: written(*rows),
            RUNS: (200, b"".join(runs)),
        }
        monkeypatch.setenv("TACHO_CLICKHOUSE_URL", server.url)
        monkeypatch.setattr("proxy.cli.whatif._now", lambda: NOW.timestamp() + 3600)
        yield server


def test_it_says_which_runs_other_caps_stop(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    assert main(["whatif", "--caps", "steps=2"]) == 0
    said = capsys.readouterr().out
    assert "2 runs, 6 calls" in said
    assert "1 of them would have been stopped, which saves at most $3.00 (50 %)" in said
    assert "2 runs reported a success, of which 1 would have been cut" in said  # fmt: skip
    assert "caps step_limit 2 of 2" in said


def test_it_answers_programs(server: FakeStore, capsys: pytest.CaptureFixture[str]):
    assert main(["whatif", "--caps", "steps=2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (stopped,) = said["stopped"]
    assert (stopped["run"], stopped["step"], stopped["saved"]["usd"]) == ("R1", 3, 3)
    assert (stopped["outcome"], stopped["is_reported"]) == ("success", True)
    assert said["successes_stopped"] == 1
    assert "breaker" in said["not_replayed"]


def test_settings_of_a_file_are_asked_and_flags_win(
    server: FakeStore, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    path = tmp_path / "other.yaml"
    path.write_text("policies: {caps: {mode: enforce, steps: 4}}\n")
    asked = ["whatif", "--config", str(path), "--json"]
    for more, step in (([], 5), (["--set", "policies.caps.steps=1"], 2), (["--caps", "steps=3"], 4)):  # fmt: skip
        assert main([*asked, *more]) == 0
        assert json.loads(capsys.readouterr().out)["stopped"][0]["step"] == step


def test_policies_that_observe_may_be_left_out(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    assert main(["whatif", "--caps", "steps=2", "--enforced-only"]) == 0
    assert "none would have been stopped; the largest took 5 steps, the dearest $5.00" in capsys.readouterr().out  # fmt: skip
    assert main(["whatif", "--caps", "steps=2,mode=enforce", "--enforced-only"]) == 0
    assert "1 of them would have been stopped" in capsys.readouterr().out


def test_the_store_is_asked_for_the_time_the_tenant_and_what_periods_need(
    server: FakeStore,
):
    begin_us = round(NOW.timestamp() + 3600) * SECOND
    assert main(["whatif", "--since", "2h", "--tenant", "acme"]) == 0
    minutes, calls, runs = server.asked
    path = minutes.path
    assert "param_from_us=1763831400000000&" in calls.path
    assert "param_until_us=1763831460000000" in calls.path
    assert f"param_since_us={begin_us - 7200 * SECOND}&" in path
    assert f"param_history_us={(begin_us - 7200 * SECOND) // (3600 * SECOND) * 3600 * SECOND}" in path  # fmt: skip
    assert "param_tenant=acme&" in path
    assert path.partition("&param_tenant")[2] in calls.path
    assert "default_format=JSONCompactEachRow" in calls.path
    assert "param_since_seconds=7260&" in runs.path
    assert main(["whatif"]) == 0
    assert f"param_since_us={begin_us - 7 * 86_400 * SECOND}&" in server.asked[3].path


def test_of_a_run_its_whole_life_is_asked_about(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    assert main(["whatif", "--run", "R1…", "--caps", "steps=2"]) == 0
    assert "param_run=R1&" in server.asked[0].path
    begin_us = round(NOW.timestamp()) * SECOND - SECOND
    assert f"param_since_us={begin_us}&" in server.asked[1].path
    assert "1 run, 5 calls" in capsys.readouterr().out
    server.answers[RUNS] = (200, b"")
    assert main(["whatif", "--run", "R1"]) == 0
    week_us = round(NOW.timestamp() + 3600 - 7 * 86_400) * SECOND
    assert f"param_since_us={week_us}&" in server.asked[5].path


def test_other_runs_count_but_are_not_told_of(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    budget = "budgets=[{name: all, per: tenant, period: month, steps: 5}]"
    rows = [now("R1", n) for n in range(5)] + [now("R2", 9, agent="reader")]
    server.answers[CALLS] = written(*rows)
    assert main(["whatif", "--agent", "reader", "--set", budget, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(each["run"], each["policy"]) for each in said["stopped"]] == [("R2", "budgets:all")]  # fmt: skip
    assert said["calls"]["calls"] == 1


@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_where_nothing_was_called_it_says_what_to_do(
    json_flag: list[str], server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    server.answers[MINUTES] = (200, b"")
    assert main(["whatif", "--agent", "x", "--tenant", "t", "--run", "r", "--since", "1h", *json_flag]) == 0  # fmt: skip
    out, err = capsys.readouterr()
    if json_flag:
        assert json.loads(out)["runs"] == 0
    else:
        assert "no call of the agent x of the tenant t in a run r in this time; list runs with: tacho runs, or look further back with --since 4w" in err  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--caps", "stepz=1"], "policies.caps.stepz: there is no such key; did you mean steps?"),
        (["--caps", "steps=-1"], "policies.caps.steps: is -1"),
        (["--set", "policies.repeat.block=1"], "policies.repeat.block: is 1"),
    ],
    ids=str,
)  # fmt: skip
def test_flags_that_cannot_be_are_2_before_anything_is_asked(
    words: list[str],
    said: str,
    server: FakeStore,
    capsys: pytest.CaptureFixture[str],
):
    assert main(["whatif", *words]) == 2
    assert said in capsys.readouterr().err
    assert not server.asked


@pytest.mark.parametrize("question", [MINUTES, CALLS, RUNS])
def test_a_store_that_refuses_is_1(question: str, server: FakeStore):
    server.answers[question] = (500, b"Code: 60. DB::Exception: no such table")
    assert main(["whatif"]) == 1


def test_dollars_are_exact_in_json(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    server.answers[CALLS] = written(now("R1", 0, usd=Decimal("0.000000000001")), now("R1", 1, usd=Decimal(3)))  # fmt: skip
    assert main(["whatif", "--json"]) == 0
    assert '"usd": 3.000000000001' in capsys.readouterr().out
