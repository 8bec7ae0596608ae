"""Frameworks through the proxy, with nothing changed but the base URL: what it makes of their calls.

What lives here: runs, steps and names. What does not: the agents (`scripts/`), rows in the store.
"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.record.codec import Open
from tests.helpers import agents
from tests.helpers.installation import Installation
from tests.helpers.processes import environ
from tests.helpers.records import read_spool
from tests.helpers.simulated import simulated

SEARCHED, FETCHED = "after search", "after fetch"
NAMES = {
    "openai_agents": [*["finder-prices"] * 3, *["write-answers"] * 2],
    "langgraph_agent": ["find-prices"] * 4,
    "pydantic_ai_agent": ["find-prices"] * 4,
    "smolagents_agent-code": ["assistant-code-blobs"] * 4,
    "smolagents_agent-tools": ["assistant-fetch-final-answer-search"] * 4,
}
"""What the agents are called, call by call; the second agent of one of them takes over."""
FIRST = {"anthropic": "messages", "chat_completions": "chat", "code": "chat", "gemini": "generate_content", "tools": "chat"}  # fmt: skip
LATER = {
    "openai_agents": [SEARCHED, FETCHED, "after transfer_to_writer", SEARCHED],
    "smolagents_agent-code": ["chat"] * 3,
}
"""What steps are called, where they are not called after the tools whose results they read; code has no tools."""

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
    return agents.pointed_at(product.port, prefix)


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
    assert len({call.session_id for call in found} - {""}) == 1
    named = NAMES.get(script) or NAMES[f"{script}-{api}"]
    assert [call.agent for call in found] == named
    assert {call.agent_source for call in found} == {"prompt"}
    later = LATER.get(script) or LATER.get(f"{script}-{api}")
    expected = [FIRST.get(api, api), *(later or [SEARCHED, FETCHED, SEARCHED])]
    assert [call.step_name for call in found] == expected


@agents.BOTH
@pytest.mark.parametrize("script", ["langgraph_agent", "pydantic_ai_agent"])
@pytest.mark.parametrize("api", ["chat", "gemini"])
def test_two_agents_with_the_same_prompt_at_the_same_time_are_two_runs(
    api, script, mode, product, tmp_path
):
    agents.environment("frameworks")
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    with ThreadPoolExecutor() as pool:
        asked = ("frameworks", script, api, mode)
        list(pool.map(lambda place: agents.run(*asked, place, pointed(product)), places))  # fmt: skip
    runs: dict[str, list[int | None]] = {}
    for call in calls(product):
        runs.setdefault(call.run_id, []).append(call.step_seq)
    assert list(runs.values()) == [[1, 2, 3, 4]] * 2


@agents.BOTH
def test_a_crew_whose_run_is_named_is_one_run(mode, product, tmp_path):
    venv, script, api, steps = agents.CREW
    agents.run(venv, script, api, mode, tmp_path, pointed(product, "/run/crew-7"))
    found = calls(product)
    assert {call.run_id for call in found} == {"crew-7"}
    assert [call.step_seq for call in found] == list(range(1, len(steps) + 1))


@agents.BOTH
def test_a_crew_under_tacho_run_is_one_run(mode, product, tmp_path):
    venv, script, api, steps = agents.CREW
    asked = ["--config", str(product.config), "--run", "crew-8", "--agent", "tea-crew"]
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "proxy", "run", *asked, "--", *agents.command(venv, script, api, mode)],
        cwd=tmp_path,
        env=environ(HOME=str(tmp_path), OPENAI_API_KEY="sk-simulated", **agents.QUIET),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = calls(product)
    assert {(call.run_id, call.agent, call.agent_source) for call in found} == {("crew-8", "tea-crew", "path")}  # fmt: skip
    assert [call.step_seq for call in found] == list(range(1, len(steps) + 1))


@agents.BOTH
def test_a_crew_that_nobody_named_is_one_session(mode, product, tmp_path):
    venv, script, api, steps = agents.CREW
    agents.run(venv, script, api, mode, tmp_path, pointed(product))
    found = calls(product)
    assert len(found) == len(steps)
    assert len({call.session_id for call in found} - {""}) == 1
