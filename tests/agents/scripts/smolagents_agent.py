"""A task of four steps with smolagents: its agent that writes code, or the one that calls tools; streamed or not."""

import os
import sys
from typing import Any

from smolagents import CodeAgent, OpenAIServerModel, ToolCallingAgent, tool

PLAN = """Find the price of the best tea.
<<plan: call search {"q": "best tea"} | call fetch {"url": "u1"}
| call search {"q": "price"} | say The price is 42.>>"""


@tool
def search(q: str) -> str:
    """Search the web.

    Args:
        q: what to look for
    """
    return f"results for {q}: u1, u2"


@tool
def fetch(url: str) -> str:
    """Fetch a page.

    Args:
        url: its address
    """
    return f"page {url}: Assam, 42 dollars"


def main(kind: str, mode: str) -> None:
    model = OpenAIServerModel(
        "gpt-4o",
        api_base=os.environ["OPENAI_BASE_URL"],
        api_key=os.environ["OPENAI_API_KEY"],
    )
    agent_class: Any = CodeAgent if kind == "code" else ToolCallingAgent
    agent = agent_class(
        tools=[search, fetch],
        model=model,
        stream_outputs=mode == "stream",
        verbosity_level=0,
    )
    said = agent.run(PLAN)
    assert said == "The price is 42.", said
    assert len(agent.memory.steps) == 5, agent.memory.steps


main(*sys.argv[1:])
