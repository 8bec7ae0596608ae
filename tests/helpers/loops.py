"""Agents as plain loops around an official SDK: ask, call the tools that it wants, ask again.

What lives here: one loop per wire family, each given the proxy's (or another) root, one that a test leads step by step, and the task that all do. What does
not: who answers.
"""

import json
from collections.abc import Callable
from typing import Any

from google import genai
from google.genai import types

from tests.helpers.simulated import (  # fmt: skip
    LOOK_UP,
    MODELS,
    anthropic_client,
    asking,
    call,
    openai_client,
    path_of,
)

PLAN = """Find the price of the best tea.
<<plan: think 20 & call search {"q": "best tea"} | call search {"q": "u1"} & call search {"q": "u2"}
| say Wait. & call search {"q": "price"} | say The price is $last.>>"""
SAID = "The price is found price."
ENDLESS = 'Find tea. <<plan: loop forever (call search {"q": "tea $n"} & pad 1700)>>'
"""A task that never ends; the loops give up after `MAX_STEPS`."""
DEAR: Any = [{"model": "gemini-*", "rates": {"output": 3500.0}}, {"multiply": 1000.0}]
"""Prices at which it would cost 100 dollars until then: mostly the table's, a thousandfold."""
MAX_STEPS = 20


def search(q: str) -> str:
    return f"found {q}"


def chat(root: str, prompt: str, stream: bool) -> str:
    function = {"name": "search", "parameters": LOOK_UP}
    tools: Any = [{"type": "function", "function": function}]
    messages: list[Any] = [{"role": "user", "content": prompt}]
    with openai_client(f"{root}/openai", max_retries=2) as client:
        for _ in range(MAX_STEPS):
            asked: Any = {"model": "gpt-4o", "messages": messages, "tools": tools}
            if stream:
                with client.chat.completions.stream(**asked) as events:
                    message: Any = events.get_final_completion().choices[0].message
            else:
                message = client.chat.completions.create(**asked).choices[0].message
            if not message.tool_calls:
                return str(message.content)
            calls = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": call.function.arguments,
                    },
                }
                for call in message.tool_calls
            ]
            messages.append(
                {"role": "assistant", "content": message.content, "tool_calls": calls}
            )
            for call in message.tool_calls:
                found = search(**json.loads(call.function.arguments))
                messages.append(
                    {"role": "tool", "tool_call_id": call.id, "content": found}
                )
    raise AssertionError("no end")


def responses(root: str, prompt: str, stream: bool) -> str:
    tools: Any = [{"type": "function", "name": "search", "parameters": LOOK_UP}]
    given: Any = prompt
    before: Any = {}
    with openai_client(f"{root}/openai", max_retries=2) as client:
        for _ in range(MAX_STEPS):
            asked: Any = {"model": "gpt-4o", "input": given, "tools": tools, **before}
            if stream:
                with client.responses.stream(**asked) as events:
                    said: Any = events.get_final_response()
            else:
                said = client.responses.create(**asked)
            calls = [item for item in said.output if item.type == "function_call"]
            if not calls:
                return str(said.output_text)
            before = {"previous_response_id": said.id}
            given = [
                {
                    "type": "function_call_output",
                    "call_id": call.call_id,
                    "output": search(**json.loads(call.arguments)),
                }
                for call in calls
            ]
    raise AssertionError("no end")


def responses_replayed(root: str, prompt: str, stream: bool) -> str:
    """Send the whole conversation each time, as who stores nothing does."""
    tools: Any = [{"type": "function", "name": "search", "parameters": LOOK_UP}]
    given: Any = [{"role": "user", "content": prompt}]
    with openai_client(f"{root}/openai", max_retries=2) as client:
        for _ in range(MAX_STEPS):
            asked: Any = {"model": "gpt-4o", "input": given, "tools": tools}
            if stream:
                with client.responses.stream(store=False, **asked) as events:
                    said: Any = events.get_final_response()
            else:
                said = client.responses.create(store=False, **asked)
            calls = [item for item in said.output if item.type == "function_call"]
            if not calls:
                return str(said.output_text)
            if said.output_text:
                given.append({"role": "assistant", "content": said.output_text})
            for call in calls:
                kept = ("type", "call_id", "name", "arguments")
                given.append({name: getattr(call, name) for name in kept})
            for call in calls:
                found = search(**json.loads(call.arguments))
                output = {"call_id": call.call_id, "output": found}
                given.append({"type": "function_call_output", **output})
    raise AssertionError("no end")


def messages_api(root: str, prompt: str, stream: bool) -> str:
    tools: Any = [{"name": "search", "input_schema": LOOK_UP}]
    messages: list[Any] = [{"role": "user", "content": prompt}]
    model = MODELS["anthropic_messages"]
    with anthropic_client(f"{root}/anthropic", max_retries=2) as client:
        for _ in range(MAX_STEPS):
            asked: Any = {"model": model, "messages": messages, "tools": tools}
            if stream:
                with client.messages.stream(max_tokens=2000, **asked) as events:
                    said: Any = events.get_final_message()
            else:
                said = client.messages.create(max_tokens=2000, **asked)
            calls = [block for block in said.content if block.type == "tool_use"]
            if not calls:
                return str(said.content[0].text)
            messages.append({"role": "assistant", "content": said.content})
            results = [
                {
                    "type": "tool_result",
                    "tool_use_id": call.id,
                    "content": search(**call.input),
                }
                for call in calls
            ]
            messages.append({"role": "user", "content": results})
    raise AssertionError("no end")


def generate_content(root: str, prompt: str, stream: bool) -> str:
    declared = {"name": "search", "parameters_json_schema": LOOK_UP}
    config = {"tools": [{"function_declarations": [declared]}]}
    contents = [types.Content(role="user", parts=[types.Part(text=prompt)])]
    options = types.HttpOptions(base_url=f"{root}/gemini")
    with genai.Client(api_key="AIza-a-key-of-tests", http_options=options) as client:
        models: Any = client.models  # its answers are optional at every level
        for _ in range(MAX_STEPS):
            asked: Any = {
                "model": MODELS["gemini"],
                "contents": contents,
                "config": config,
            }
            if stream:
                chunks = models.generate_content_stream(**asked)
            else:
                chunks = [models.generate_content(**asked)]
            parts = [p for c in chunks for p in c.candidates[0].content.parts]
            calls = [part.function_call for part in parts if part.function_call]
            if not calls:
                return "".join(part.text or "" for part in parts)
            contents.append(types.Content(role="model", parts=parts))
            results = [
                types.Part.from_function_response(
                    name=call.name, response={"result": search(**call.args)}
                )
                for call in calls
            ]
            contents.append(types.Content(role="user", parts=results))
    raise AssertionError("no end")


class Loop:
    """An agent that is asked for one step at a time, each over a connection of its own."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._body = asking("openai_chat", PLAN)

    def step(self) -> str:
        """Take the next step of the task; give what was said."""
        said = call(self._root, "/openai" + path_of("openai_chat"), self._body)
        message = said.json()["choices"][0]["message"]
        self._body["messages"].append(message)
        for each in message.get("tool_calls") or ():
            found = search(**json.loads(each["function"]["arguments"]))
            answer = {"role": "tool", "tool_call_id": each["id"], "content": found}
            self._body["messages"].append(answer)
        return message["content"] or ""


LOOPS: dict[str, Callable[[str, str, bool], str]] = {
    "chat": chat,
    "responses": responses,
    "responses_replayed": responses_replayed,
    "anthropic": messages_api,
    "gemini": generate_content,
}
