"""What somebody reads of a run that ran away and was stopped: `tacho show` names the policy, why, and with which numbers.

What lives here: one run of each family through the whole product. What does not: that they are stopped in time (`test_governors_runaway.py`),
how it is drawn (`tests/proxy/cli`).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.installation import Installation, await_that, product_at, tacho
from tests.helpers.loops import DEAR, ENDLESS, LOOPS
from tests.helpers.simulated import simulated

pytestmark = pytest.mark.timeout(300)
CAP = 45


def shown(installed: Installation, run: str) -> dict[str, Any]:
    """Give what the command says of a run once its refusal is there."""

    def found() -> dict[str, Any]:
        said = tacho(installed.config, "show", run, "--json")
        told: dict[str, Any] = json.loads(said.stdout) if said.returncode == 0 else {}
        is_over = any(each["outcome"] == "blocked" for each in told.get("attempts", ()))
        return told if is_over else {}

    return await_that(found, f"run {run} and its refusal")


def test_show_explains_what_stopped_a_runaway_of_each_family(tmp_path: Path):
    policies = {"caps": {"mode": "enforce", "cost_usd": CAP}}
    settings: Any = {"policies": policies, "prices": DEAR}
    with simulated() as provider, product_at(tmp_path, provider.url, **settings) as installed:  # fmt: skip
        for name, loop in LOOPS.items():
            root = f"http://127.0.0.1:{installed.port}/run/tea-{name}"
            with pytest.raises(Exception, match="exceeded its cost limit"):
                loop(root, ENDLESS, False)
        for name in LOOPS:
            told = shown(installed, f"tea-{name}")
            *went, refused = told["attempts"]
            assert {each["outcome"] for each in went} == {"completed"}
            assert (refused["verdict_policy"], refused["verdict_reason"]) == ("caps", "cost_limit")  # fmt: skip
            (block,) = [each for each in told["verdicts"] if each["action"] == "block"]
            assert (block["policy"], block["reason"]) == ("caps", "cost_limit")
            assert float(block["value"]) >= CAP == float(block["threshold"])
            assert block["message"].startswith("run exceeded its cost limit ($")
            assert f"`tacho allow tea-{name}`" in block["message"]
            text = tacho(installed.config, "show", f"tea-{name}").stdout
            assert "caps" in text
            assert "cost limit" in text
            assert f"tacho allow tea-{name}" in text
