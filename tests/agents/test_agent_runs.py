"""Frameworks through the proxy, with nothing changed but the base URL: what it makes of their calls.

What lives here: runs, steps and names. What does not: the agents (`scripts/`), rows in the store.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.record.codec import Open
from tests.helpers import agents
from tests.helpers.installation import Installation
from tests.helpers.records import read_spool
from tests.helpers.simulated import simulated

pytestmark = [pytest.mark.big, pytest.mark.timeout(20 * agents.MINUTES)]


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Installation]:
    with simulated() as provider:
        installed = Installation(tmp_path, provider.url, providers=("gemini",))
        try:
            yield installed.start("proxy")
        finally:
            installed.end()


def pointed(product: Installation, prefix: str = "") -> dict[str, str]:
    root = f"http://127.0.0.1:{product.port}{prefix}"
    return {
        "OPENAI_BASE_URL": f"{root}/openai/v1",
        "OPENAI_API_KEY": "sk-simulated",
        "ANTHROPIC_BASE_URL": f"{root}/anthropic",
        "ANTHROPIC_API_KEY": "sk-ant-simulated",
        "GOOGLE_GEMINI_BASE_URL": f"{root}/gemini",
        "GEMINI_API_KEY": "simulated",
    }


def calls(product: Installation) -> list[Open]:
    recorded, _ = read_spool(product.data_dir)
    opened = [each.open for each in recorded]
    return sorted((each for each in opened if each.is_step), key=lambda each: each.ts_us)  # fmt: skip


@agents.BOTH
@pytest.mark.parametrize(
    ("venv", "script", "api", "steps"), agents.LOOPS, ids=agents.ids(agents.LOOPS)
)
def test_an_agent_is_one_run_with_its_steps_and_readable_names(
    venv, script, api, steps, mode, product, tmp_path
):
    agents.run(venv, script, api, mode, tmp_path, pointed(product))
    found = calls(product)
    assert len({call.run_id for call in found} - {""}) == 1
    assert [call.step_seq for call in found] == list(range(1, len(steps) + 1))
    assert {(call.attempt, call.turn_seq) for call in found} == {(0, 1)}
    assert all(call.agent for call in found)
    assert len({call.session_id for call in found}) == 1


@agents.BOTH
def test_a_crew_whose_run_is_named_is_one_run(mode, product, tmp_path):
    venv, script, api, steps = agents.CREW
    agents.run(venv, script, api, mode, tmp_path, pointed(product, "/run/crew-7"))
    found = calls(product)
    assert {call.run_id for call in found} == {"crew-7"}
    assert [call.step_seq for call in found] == list(range(1, len(steps) + 1))


@agents.BOTH
def test_a_crew_that_nobody_named_is_one_session(mode, product, tmp_path):
    venv, script, api, steps = agents.CREW
    agents.run(venv, script, api, mode, tmp_path, pointed(product))
    found = calls(product)
    assert len(found) == len(steps)
    assert len({call.session_id for call in found} - {""}) == 1
