"""A task of four steps with pydantic-ai that ends in a typed answer; OpenAI, Anthropic or Gemini, streamed or not."""

import asyncio
import sys

from pydantic import BaseModel
from pydantic_ai import Agent

PLAN = """Find the price of the best tea.
<<plan: call search {"q": "best tea"} | call fetch {"url": "u1"} & call fetch {"url": "u2"}
| say Wait. & call search {"q": "price"} | say The price is $last.>>"""
MODELS = {
    "chat": "openai-chat:gpt-4o",
    "responses": "openai-responses:gpt-4o",
    "anthropic": "anthropic:claude-sonnet-5",
    "gemini": "google:gemini-2.5-flash",
}


class Price(BaseModel):
    """The answer."""

    text: str
    dollars: int


def search(q: str) -> str:
    """Search the web."""
    return f"results for {q}: u1, u2"


def fetch(url: str) -> str:
    """Fetch a page."""
    return f"page {url}: Assam, 42 dollars"


async def main(api: str, mode: str) -> None:
    agent = Agent(
        MODELS[api],
        instructions="You find prices.",
        tools=[search, fetch],
        output_type=Price,
    )
    if mode == "stream":
        async with agent.run_stream(PLAN) as run:
            said = await run.get_output()
    else:
        said = (await agent.run(PLAN)).output
    assert said.text == "The price is results for price: u1, u2.", said


asyncio.run(main(*sys.argv[1:]))
