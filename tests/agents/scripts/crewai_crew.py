"""A crew of two agents with two tasks in CrewAI, each of several steps; streamed or not."""

import sys
from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

FIRST = 'Find tea. <<plan: call search {"q": "best tea"} | call fetch {"url": "u1"} | say Assam is the best.>>'
SECOND = 'Price it. <<plan: call search {"q": "price"} | say The price is 42.>>'


@tool("search")
def search(q: str) -> str:
    """Search the web."""
    return f"results for {q}: u1, u2"


@tool("fetch")
def fetch(url: str) -> str:
    """Fetch a page."""
    return f"page {url}: Assam, 42 dollars"


def main(mode: str) -> None:
    llm = LLM(model="openai/gpt-4o", stream=mode == "stream")

    def agent(role: str) -> Any:
        return Agent(
            role=role, goal="tea", backstory="a person", tools=[search, fetch], llm=llm
        )

    tasks = [
        Task(description=text, expected_output="a sentence", agent=agent(role))
        for text, role in ((FIRST, "finder"), (SECOND, "pricer"))
    ]
    crew = Crew(agents=[task.agent for task in tasks], tasks=tasks)
    said = crew.kickoff()
    assert str(said) == "The price is 42.", said
    assert tasks[0].output.raw == "Assam is the best.", tasks[0].output


main(*sys.argv[1:])
