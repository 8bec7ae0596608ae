"""A task of four steps with LangGraph's ready-made agent over langchain-openai, langchain-anthropic or langchain-google-genai."""

import os
import sys
from typing import Any

from langchain_core.tools import tool
from langgraph.prebuilt import create_react_agent

PLAN = """Find the price of the best tea.
<<plan: call search {"q": "best tea"} | call fetch {"url": "u1"} & call fetch {"url": "u2"}
| say Wait. & call search {"q": "price"} | say The price is $last.>>"""


@tool
def search(q: str) -> str:
    """Search the web."""
    return f"results for {q}: u1, u2"


@tool
def fetch(url: str) -> str:
    """Fetch a page."""
    return f"page {url}: Assam, 42 dollars"


def model(api: str, streaming: bool) -> Any:
    if api == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(
            model="claude-sonnet-5", max_tokens=2000, streaming=streaming
        )  # type: ignore[call-arg]
    if api == "gemini":
        from langchain_google_genai import ChatGoogleGenerativeAI

        url = os.environ["GOOGLE_GEMINI_BASE_URL"]
        return ChatGoogleGenerativeAI(
            model="gemini-2.5-flash", base_url=url, api_key="key"
        )
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model="gpt-4o", streaming=streaming, use_responses_api=api == "responses"
    )


def main(api: str, mode: str) -> None:
    agent = create_react_agent(
        model(api, mode == "stream"), [search, fetch], prompt="You find prices."
    )
    asked: Any = {"messages": [{"role": "user", "content": PLAN}]}
    if mode == "stream":
        said = ""
        for message, _ in agent.stream(asked, stream_mode="messages"):
            text = message.text if isinstance(message.text, str) else message.text()
            said = said + text if message.type == "AIMessageChunk" else ""
    else:
        last = agent.invoke(asked)["messages"][-1]
        said = last.text if isinstance(last.text, str) else last.text()
    assert said == "The price is results for price: u1, u2.", said


main(*sys.argv[1:])
