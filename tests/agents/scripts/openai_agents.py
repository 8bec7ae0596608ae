"""A task of five steps with the OpenAI Agents SDK: two tools, then a handoff; Responses or chat completions, streamed or not."""

import asyncio
import sys

from agents import (
    Agent,
    Runner,
    function_tool,
    set_default_openai_api,
    set_tracing_disabled,
)

PLAN = """Find the price of the best tea.
<<plan: call search {"q": "best tea"} | call fetch {"url": "u1"} & call fetch {"url": "u2"}
| call transfer_to_writer | call search {"q": "price"} | say The price is $last.>>"""


@function_tool
def search(q: str) -> str:
    """Search the web."""
    return f"results for {q}: u1, u2"


@function_tool
def fetch(url: str) -> str:
    """Fetch a page."""
    return f"page {url}: Assam, 42 dollars"


async def main(api: str, mode: str) -> None:
    set_tracing_disabled(True)
    set_default_openai_api(api)  # type: ignore[arg-type]
    writer = Agent(
        name="writer", instructions="You write answers.", tools=[search], model="gpt-4o"
    )
    finder = Agent(
        name="finder",
        instructions="You are a finder of prices.",
        tools=[search, fetch],
        handoffs=[writer],
        model="gpt-4o",
    )
    if mode == "stream":
        streamed = Runner.run_streamed(finder, PLAN)
        async for _ in streamed.stream_events():
            pass
        said = streamed.final_output
    else:
        said = (await Runner.run(finder, PLAN)).final_output
    assert said == "The price is results for price: u1, u2.", said


asyncio.run(main(*sys.argv[1:]))
