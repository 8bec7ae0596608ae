"""What becomes of runs over time, through the whole product: named again after their end, reported on, with a new prompt, over a crash.

What lives here: what `SELECT` and the command line say of it. What does not: how runs are recognised (`test_rows_of_runs.py`).
"""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.installation import Installation, await_that, tacho
from tests.helpers.simulated import asking, call, path_of, simulated

pytestmark = pytest.mark.timeout(300)
ENDS = (
    "SELECT run_id, reason, detail FROM events WHERE type = 'run_end' ORDER BY run_id"
)
STEPS = "SELECT run_id, step_seq, agent_version FROM steps WHERE is_step ORDER BY ts"
CHANGES = "SELECT agent, JSONExtractString(detail, 'before') AS before, JSONExtractString(detail, 'after') AS after FROM events WHERE type = 'prompt_change' ORDER BY ts, after"
PATH = "/openai" + path_of("openai_chat")
SYSTEM = "You are a tax adviser."


class Product:
    """The whole product, and what a user does with it."""

    def __init__(self, installed: Installation) -> None:
        self.installed = installed
        self._root = f"http://127.0.0.1:{installed.port}"

    def ask(self, prefix: str, system: str = SYSTEM, text: str = "<<plan: say Yes.>>") -> str:  # fmt: skip
        """Make a call of the agent `bot`; give the answer's id."""
        body = asking("openai_chat", text, tools=False)
        body["messages"].insert(0, {"role": "system", "content": system})
        said = call(self._root, f"/agent/bot{prefix}{PATH}", body)
        assert said.status == 200, said.body
        return str(said.json()["id"])

    def report(self, path: str, **report: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.installed.port, timeout=20)  # fmt: skip
        connection.request("POST", path, json.dumps(report))
        assert connection.getresponse().status == 202
        connection.close()

    def rows(self, statement: str, count: int) -> list[dict[str, Any]]:
        def found() -> list[dict[str, Any]]:
            rows = self.installed.rows(statement)
            return rows if len(rows) >= count else []

        return await_that(found, f"{count} rows of {statement}")

    def crash(self) -> None:
        self.installed.kill("w0")
        self.installed.running("w0")

    def runs(self) -> dict[str, tuple[str, str]]:
        """Give outcome and its source of each run, as `tacho runs` has them."""
        said = tacho(self.installed.config, "runs", "--json")
        return {each["run"]: (each["outcome"], each["outcome_source"]) for each in json.loads(said.stdout)}  # fmt: skip


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    with simulated() as provider:
        installed = Installation(tmp_path, provider.url, runs={"idle_seconds": 6})
        try:
            yield Product(installed.start())
            assert installed.stop() == 0, installed.said()
        finally:
            installed.end()


def test_a_named_run_goes_on_after_its_end_and_over_a_crash_and_ends_once(product):
    product.ask("/run/R1")
    product.rows(ENDS, 1)
    product.crash()
    product.ask("/run/R1")
    product.ask("/run/R2")
    ends = product.rows(ENDS, 2)
    assert [end["run_id"] for end in ends] == ["R1", "R2"]
    product.ask("/run/R1")
    product.crash()
    found = product.rows(STEPS, 4)
    assert [row["step_seq"] for row in found if row["run_id"] == "R1"] == [1, 2, 3]
    assert product.rows(ENDS, 2) == ends


def test_what_is_reported_by_an_answers_id_or_by_a_commands_status_is_in_the_end(
    product,
):
    answer = product.ask("/run/R1")
    product.ask("/run/R2")
    product.ask("/run/R3")
    product.report("/tacho/outcome", outcome="failure", response_id=answer)
    product.report("/tacho/outcome", outcome="success", response_id=answer)
    product.report("/run/R2/outcome", outcome="failure", reason="exit status 2")
    product.crash()
    ends = product.rows(ENDS, 3)
    told = [(end["run_id"], end["reason"], json.loads(end["detail"])["outcome_source"]) for end in ends]  # fmt: skip
    assert told == [("R1", "success", "reported"), ("R2", "failure", "reported"), ("R3", "ended", "inferred")]  # fmt: skip
    product.report("/tacho/outcome", outcome="failure", response_id=answer)
    late = {"R1": ("failure", "reported"), "R2": ("failure", "reported")}
    await_that(lambda: product.runs().items() >= late.items(), "the late report")


def test_a_prompt_that_changed_is_told_once_however_often_the_worker_starts(product):
    product.ask("")
    product.crash()
    other = "You are a pirate."
    for _ in range(2):
        product.ask("", other)
    product.crash()
    for system in (other, SYSTEM, "You are a cook."):
        product.ask("", system)
    versions = [row["agent_version"] for row in product.rows(STEPS, 6)]
    changes = product.rows(CHANGES, 2)
    assert [(each["agent"], each["before"], each["after"]) for each in changes] == [
        ("bot", versions[0], versions[1]),
        ("bot", versions[0], versions[5]),
    ]
    assert len(set(versions)) == 3
