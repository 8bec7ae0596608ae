"""Agents of frameworks, each in an environment of its own.

What lives here: which there are, their environments, and running one. What does not: the agents (`tests/agents/scripts`), who answers
them.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "agents" / "scripts"
MINUTES = 60
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "LANGCHAIN_TRACING_V2": "false",
}
LOOPS = [
    ("frameworks", "openai_agents", "responses", [0, 1, 2, 3, 4]),
    ("frameworks", "openai_agents", "chat_completions", [0, 1, 2, 3, 4]),
    *(
        ("frameworks", script, api, [0, 1, 2, 3])
        for script in ("langgraph_agent", "pydantic_ai_agent")
        for api in ("chat", "responses", "anthropic", "gemini")
    ),
    ("frameworks", "smolagents_agent", "code", [0, 1, 2, 3]),
    ("frameworks", "smolagents_agent", "tools", [0, 1, 2, 3]),
]
CREW = ("crewai", "crewai_crew", "", [0, 1, 2, 0, 1])
"""Environment, script, its argument, and the step of the plan that each call asks for."""


def ids(agents: list[tuple[str, str, str, list[int]]]) -> list[str]:
    return [f"{script}-{api}".strip("-") for _, script, api, _ in agents]


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


def command(venv: str, script: str, api: str, mode: str) -> list[str]:
    """Give the command line of an agent."""
    arguments = [str(SCRIPTS / f"{script}.py"), *([api] if api else []), mode]
    return [str(environment(venv)), *arguments]


def attempt(
    venv: str, script: str, api: str, mode: str, place: Path, pointed: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run an agent to its end, however that comes; `pointed` are the variables that say where its provider is."""
    return subprocess.run(
        command(venv, script, api, mode),
        cwd=place,
        env={**os.environ, **QUIET, **pointed, "HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=3 * MINUTES,
        check=False,
    )


def run(
    venv: str, script: str, api: str, mode: str, place: Path, pointed: Mapping[str, str]
) -> None:
    """Run an agent that does its task."""
    ended = attempt(venv, script, api, mode, place, pointed)
    assert ended.returncode == 0, ended.stderr[-2000:]


def pointed_at(port: int, prefix: str = "") -> dict[str, str]:
    """Give the variables that point an agent at the product on a port."""
    root = f"http://127.0.0.1:{port}{prefix}"
    return {
        "OPENAI_BASE_URL": f"{root}/openai/v1",
        "OPENAI_API_KEY": "sk-simulated",
        "ANTHROPIC_BASE_URL": f"{root}/anthropic",
        "ANTHROPIC_API_KEY": "sk-ant-simulated",
        "GOOGLE_GEMINI_BASE_URL": f"{root}/gemini",
        "GEMINI_API_KEY": "simulated",
    }


BOTH = pytest.mark.parametrize("mode", ["whole", "stream"])
