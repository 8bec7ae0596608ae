"""C07: frameworks whose call is refused by a cap: they stop at once, and whoever runs them reads why.

What lives here: the end of an agent through a real proxy, and how often it asked. What does not: the agents (`scripts/`), SDKs by
themselves (`tests/end_to_end/test_governors_in_sdks.py`).
"""

import pytest

from tests.helpers import agents
from tests.helpers.installation import Installation
from tests.helpers.records import read_spool
from tests.helpers.simulated import simulated

STOPPING = [each for each in agents.LOOPS if each[1] != "smolagents_agent"]
CAPS = {"caps": {"mode": "enforce", "steps": 2}}
STORY = "tachograph: run exceeded its step limit (2 of 2); to let it go on: `tacho allow tea-7`"
pytestmark = [pytest.mark.big, pytest.mark.timeout(20 * agents.MINUTES)]


@agents.BOTH
@pytest.mark.parametrize(
    ("venv", "script", "api", "steps"), STOPPING, ids=agents.ids(STOPPING)
)
def test_c07_an_agent_stops_at_the_first_refused_call_and_says_why(
    venv, script, api, steps, mode, tmp_path
):
    with simulated() as provider:
        product = Installation(tmp_path, provider.url, providers=("gemini",), policies=CAPS)  # fmt: skip
        try:
            product.start("proxy")
            pointed = agents.pointed_at(product.port, "/run/tea-7")
            ended = agents.attempt(venv, script, api, mode, tmp_path, pointed)
        finally:
            product.end()
    assert ended.returncode != 0
    # The exception's own line, after all tracebacks; LangGraph adds a note to it.
    assert STORY in "".join(ended.stderr.rstrip().splitlines()[-2:])
    assert [seen.step for seen in provider.seen] == steps[:2]
    recorded, _ = read_spool(product.data_dir)
    outcomes = [(each.end.outcome, each.close.http_status) for each in recorded]
    assert outcomes == [("completed", 200), ("completed", 200), ("blocked", 400)]
