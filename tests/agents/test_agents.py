"""Frameworks run unchanged against the simulated provider: only the usual variables with base URLs are set.

What lives here: which agents, and that each does its task step by step. What does not: the agents (`scripts/`), what the
proxy makes of them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.simulate.pointing import variables
from proxy.simulate.server import Provider
from tests.helpers.simulated import simulated

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "agents" / "scripts"
MINUTES = 60
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "LANGCHAIN_TRACING_V2": "false",
}
AGENTS = [
    ("frameworks", "openai_agents", "responses", [0, 1, 2, 3, 4]),
    ("frameworks", "openai_agents", "chat_completions", [0, 1, 2, 3, 4]),
    *(
        ("frameworks", script, api, [0, 1, 2, 3])
        for script in ("langgraph_agent", "pydantic_ai_agent")
        for api in ("chat", "responses", "anthropic", "gemini")
    ),
    ("frameworks", "smolagents_agent", "code", [0, 1, 2, 3]),
    ("frameworks", "smolagents_agent", "tools", [0, 1, 2, 3]),
    ("crewai", "crewai_crew", "", [0, 1, 2, 0, 1]),
]

pytestmark = [pytest.mark.big, pytest.mark.timeout(20 * MINUTES)]


def environment(name: str) -> Path:
    """Make the environment of some agents, or take the one that is there; the first takes minutes."""
    made = subprocess.run(
        ["sh", "scripts/agents.sh", name],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return ROOT / ".venv-agents" / name / "bin" / "python"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with simulated() as provider:
        yield provider


@pytest.mark.parametrize("mode", ["whole", "stream"])
@pytest.mark.parametrize(
    ("venv", "script", "api", "steps"),
    AGENTS,
    ids=[f"{script}-{api}".strip("-") for _, script, api, _ in AGENTS],
)
def test_an_agent_does_its_task_step_by_step(
    venv, script, api, steps, mode, provider, tmp_path
):
    python = environment(venv)
    arguments = [str(SCRIPTS / f"{script}.py"), *([api] if api else []), mode]
    ended = subprocess.run(
        [str(python), *arguments],
        cwd=tmp_path,
        env={**os.environ, **QUIET, **variables(provider.url), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=3 * MINUTES,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert [seen.step for seen in provider.seen] == steps
    assert {seen.status for seen in provider.seen} == {200}
