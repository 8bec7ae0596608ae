"""Frameworks run unchanged against the simulated provider: only the usual variables with base URLs are set.

What lives here: that each agent does its task step by step. What does not: the agents (`scripts/`), what the proxy makes of them
(`test_agent_runs.py`).
"""

from collections.abc import Iterator

import pytest

from proxy.simulate.pointing import variables
from proxy.simulate.server import Provider
from tests.helpers import agents
from tests.helpers.simulated import simulated

AGENTS = [*agents.LOOPS, agents.CREW]
pytestmark = [pytest.mark.big, pytest.mark.timeout(20 * agents.MINUTES)]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with simulated() as provider:
        yield provider


@agents.BOTH
@pytest.mark.parametrize(
    ("venv", "script", "api", "steps"), AGENTS, ids=agents.ids(AGENTS)
)
def test_an_agent_does_its_task_step_by_step(
    venv, script, api, steps, mode, provider, tmp_path
):
    agents.run(venv, script, api, mode, tmp_path, variables(provider.url))
    assert [seen.step for seen in provider.seen] == steps
    assert {seen.status for seen in provider.seen} == {200}
