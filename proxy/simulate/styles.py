"""How an agent wants its model to call tools: natively, as ReAct text, as code, or not at all.

What lives here: seeing it in the prompt, and writing calls and last words that way. What does not: what is called.
"""

import json
from enum import Enum
from typing import Any

from proxy.simulate.question import ASSISTANT, Question

_CODE = "<code>"
_FENCE = "```py"
_REACT = ("Action Input:", "Final Answer:")


class Style(Enum):
    """See the module."""

    NATIVE = "native"
    REACT = "react"
    CODE = "code"
    """smolagents' `<code>` blocks."""
    FENCED = "fenced"
    """Its blocks in Markdown."""
    NONE = "none"


def style_of(question: Question) -> Style:
    """Say how this request wants calls; tools on offer come first."""
    if question.tools:
        return Style.NATIVE
    prompt = [turn.text for turn in question.turns if turn.role != ASSISTANT]
    if _all_in(prompt, *_REACT):
        return Style.REACT
    if _all_in(prompt, "final_answer", _CODE):
        return Style.CODE
    return Style.FENCED if _all_in(prompt, "final_answer", _FENCE) else Style.NONE


def _all_in(texts: list[str], *signs: str) -> bool:
    return all(any(sign in text for text in texts) for sign in signs)


def write_call(style: Style, tool: str, arguments: dict[str, Any]) -> str:
    """Write a call."""
    if style in (Style.CODE, Style.FENCED):
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        return _code(
            style, f"I will use {tool}.", f"result = {tool}({given})\nprint(result)"
        )
    return f"Thought: I should use {tool}.\nAction: {tool}\nAction Input: {json.dumps(arguments, ensure_ascii=False)}\n"


def say_in(style: Style, text: str) -> str:
    """Write what is said to the user, so that the agent takes it as its answer."""
    if style in (Style.CODE, Style.FENCED):
        return _code(style, "I know the answer.", f"final_answer({text!r})")
    if style is Style.REACT and not text.startswith(("Thought:", "Final Answer:")):
        return f"Thought: I now know the final answer\nFinal Answer: {text}"
    return text


def _code(style: Style, thought: str, code: str) -> str:
    if style is Style.CODE:
        return f"Thought: {thought}\n<code>\n{code}\n</code>"
    return f"Thought: {thought}\n```python\n{code}\n```"
