"""How each wire family writes requests: paths and bodies as its SDKs send them.

What lives here: requests. What does not: answers (`replies.py`), what is said (`said.py`).
"""

import json
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from tests.helpers.runs.wild.said import Habit, Message


@dataclass
class Prompt:
    """All that a request carries."""

    messages: list[Message]
    system: str = "You are helpful."
    tools: tuple[str, ...] = ("search", "read")
    stream: bool = False
    model: str = ""
    previous: str = ""
    """`previous_response_id` (Responses)."""
    conversation: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """One wire family at one provider."""

    name: str
    route: str
    shape: str
    path: str
    ids: str = ""
    """How ids of calls begin; `-` where there are none."""
    agent: str = "python-httpx/0.28"
    auth: tuple[str, str] = ("authorization", "Bearer sk-one-team")

    def target(self, stream: bool) -> str:
        """Give the path of a request."""
        if self.shape == "gemini":
            return self.path + (
                ":streamGenerateContent" if stream else ":generateContent"
            )
        if self.shape == "converse":
            return self.path + ("/converse-stream" if stream else "/converse")
        if self.shape == "invoke":
            return self.path + ("/invoke-with-response-stream" if stream else "/invoke")
        return self.path

    def body(self, prompt: Prompt, habit: Habit) -> bytes:
        """Write a request."""
        if habit.merges_users:
            prompt = replace(prompt, messages=_merged(prompt.messages))
        found = _SHAPES[self.shape](prompt, habit)
        return json.dumps(found | prompt.extra, ensure_ascii=habit.ascii).encode()


_ARN = quote("anthropic.claude-sonnet-4-20250514-v1:0")
FAMILIES = [
    Family("openai", "openai", "chat", "/v1/chat/completions", "call_", "OpenAI/Python 2.9"),
    Family("groq", "groq", "chat", "/openai/v1/chat/completions", "call_"),
    Family("together", "together", "chat", "/v1/chat/completions", "call_"),
    Family("deepseek", "deepseek", "chat", "/chat/completions", "call_00_"),
    Family("openrouter", "openrouter", "chat", "/api/v1/chat/completions", "functions."),
    Family("mistral", "mistral", "chat", "/v1/chat/completions", "nine"),
    Family("responses", "openai", "responses", "/v1/responses", "call_"),
    Family("anthropic", "anthropic", "anthropic", "/v1/messages", "toolu_", auth=("x-api-key", "sk-ant-one-team")),
    Family("gemini", "gemini", "gemini", "/v1beta/models/gemini-2.5-pro", "-", auth=("x-goog-api-key", "AIza-team")),
    Family("vertex", "vertex", "gemini", "/v1/projects/p/locations/us/publishers/google/models/gemini-2.5-pro", "-"),
    Family("converse", "bedrock", "converse", f"/model/{_ARN}", "tooluse_"),
    Family("invoke", "bedrock", "invoke", f"/model/{_ARN}", "toolu_bdrk_"),
    Family("cohere2", "cohere", "cohere2", "/v2/chat", "search_"),
    Family("cohere1", "cohere", "cohere1", "/v1/chat", "-"),
    Family("ollama", "ollama", "ollama", "/api/chat", "-"),
]  # fmt: skip


def _merged(messages: list[Message]) -> list[Message]:
    kept: list[Message] = []
    for each in messages:
        if kept and each.role == kept[-1].role == "user" and not (each.image or kept[-1].image):  # fmt: skip
            kept[-1] = replace(kept[-1], text=f"{kept[-1].text}\n\n{each.text}")
        else:
            kept.append(each)
    return kept


def _schema(name: str) -> dict[str, Any]:
    properties = {"q": {"type": "string", "description": f"what to {name}"}}
    return {"type": "object", "properties": properties, "required": ["q"]}


def _image(message: Message) -> str:
    return b64encode(message.image).decode()


def _chat(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    listed: list[Any] = []
    if prompt.system:
        role = "developer" if habit.developer else "system"
        listed.append({"role": role, "content": prompt.system})
    listed += [_chat_message(each, habit) for each in prompt.messages]
    tools = [{"type": "function", "function": {"name": each, "description": each, "parameters": _schema(each)}} for each in prompt.tools]  # fmt: skip
    body: dict[str, Any] = {"model": prompt.model or "gpt-5", "messages": listed, "stream": prompt.stream}  # fmt: skip
    return body | ({"tools": tools} if tools else {})


def _chat_message(each: Message, habit: Habit) -> dict[str, Any]:
    content: Any = each.text
    if each.image:
        url = f"data:image/png;base64,{_image(each)}"
        content = [{"type": "text", "text": each.text}, {"type": "image_url", "image_url": {"url": url}}]  # fmt: skip
    elif habit.listed and each.text:
        content = [{"type": "text", "text": each.text}]
    if each.call:
        found = {"role": "tool", "tool_call_id": each.call.id, "content": content}
        return found | ({"name": each.call.name} if habit.extra else {})
    said: dict[str, Any] = {"role": each.role, "content": content}
    if each.role != "assistant":
        return said
    if not each.text:
        said |= {"content": None if habit.null == "null" else ""}
        if habit.null == "absent":
            del said["content"]
    if each.thinking:
        said["reasoning_content"] = each.thinking
    if each.calls:
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": habit.arguments(call)}}
            for call in each.calls
        ]  # fmt: skip
    if habit.extra:
        said |= {
            "refusal": None,
            "annotations": [],
            "audio": None,
            "function_call": None,
        }
    return said


def _responses(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    listed = [item for each in prompt.messages for item in _responses_items(each, habit)]  # fmt: skip
    tools = [{"type": "function", "name": each, "parameters": _schema(each)} for each in prompt.tools]  # fmt: skip
    body: dict[str, Any] = {"model": prompt.model or "gpt-5", "input": listed, "tools": tools, "stream": prompt.stream}  # fmt: skip
    if prompt.system:
        body["instructions"] = prompt.system
    if prompt.previous:
        body["previous_response_id"] = prompt.previous
    if prompt.conversation:
        body["conversation"] = {"id": prompt.conversation}
    return body


def _responses_items(each: Message, habit: Habit) -> list[Any]:
    if each.call:
        return [{"type": "function_call_output", "call_id": each.call.id, "output": each.text}]  # fmt: skip
    if each.role == "assistant":
        return _responses_answer(each, habit)
    content: Any = each.text
    if each.image:
        url = f"data:image/png;base64,{_image(each)}"
        content = [{"type": "input_text", "text": each.text}, {"type": "input_image", "image_url": url}]  # fmt: skip
    elif habit.listed:
        content = [{"type": "input_text", "text": each.text}]
    return [{"role": each.role, "content": content}]


def _responses_answer(each: Message, habit: Habit) -> list[Any]:
    listed: list[Any] = []
    if each.thinking or each.signature:
        listed.append({"type": "reasoning", "id": f"rs_{each.signature[:20]}", "summary": [], "encrypted_content": each.signature})  # fmt: skip
    if each.text and habit.strip:
        listed.append({"role": "assistant", "content": each.text})
    elif each.text:
        part = {"type": "output_text", "text": each.text, "annotations": []}
        listed.append({"type": "message", "role": "assistant", "content": [part], "status": "completed", "id": "msg_x"})  # fmt: skip
    for call in each.calls:
        said = {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": habit.arguments(call)}  # fmt: skip
        kept = {"id": f"fc_{call.id}", "status": "completed"} if habit.extra else {}
        listed.append(said | kept)
    return listed


def _anthropic(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    listed: list[Any] = []
    for each in prompt.messages:
        blocks, role = _anthropic_blocks(each)
        if listed and listed[-1]["role"] == role == "user" and isinstance(listed[-1]["content"], list) and each.call:  # fmt: skip
            listed[-1]["content"] += blocks
        elif len(blocks) == 1 and blocks[0]["type"] == "text" and not habit.listed:
            listed.append({"role": role, "content": each.text})
        else:
            listed.append({"role": role, "content": blocks})
    system: Any = prompt.system
    if habit.moves_cache:
        system = [{"type": "text", "text": prompt.system, "cache_control": {"type": "ephemeral"}}]  # fmt: skip
        last = listed[-1]
        if isinstance(last["content"], str):
            last["content"] = [{"type": "text", "text": last["content"]}]
        last["content"][-1] = last["content"][-1] | {"cache_control": {"type": "ephemeral"}}  # fmt: skip
    tools = [{"name": each, "description": each, "input_schema": _schema(each)} for each in prompt.tools]  # fmt: skip
    body: dict[str, Any] = {"model": prompt.model or "claude-sonnet-4-5", "max_tokens": 4096, "messages": listed, "tools": tools, "stream": prompt.stream}  # fmt: skip
    return body | ({"system": system} if prompt.system else {})


def _anthropic_blocks(each: Message) -> tuple[list[Any], str]:
    if each.call:
        return [{"type": "tool_result", "tool_use_id": each.call.id, "content": each.text}], "user"  # fmt: skip
    blocks: list[Any] = []
    if each.thinking:
        blocks.append({"type": "thinking", "thinking": each.thinking, "signature": each.signature})  # fmt: skip
    if each.image:
        source = {"type": "base64", "media_type": "image/png", "data": _image(each)}
        blocks.append({"type": "image", "source": source})
    if each.text:
        blocks.append({"type": "text", "text": each.text})
    blocks += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.args} for call in each.calls]  # fmt: skip
    return blocks, "assistant" if each.role == "assistant" else "user"


def _invoke(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    body = _anthropic(prompt, habit)
    del body["model"], body["stream"]
    return body | {"anthropic_version": "bedrock-2023-05-31"}


def _gemini(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    listed: list[Any] = []
    for each in prompt.messages:
        parts: list[Any] = []
        if each.thinking:
            parts.append({"text": each.thinking, "thought": True})
        if each.image:
            parts.append(
                {"inlineData": {"mimeType": "image/png", "data": _image(each)}}
            )
        if each.call:
            parts.append({"functionResponse": {"name": each.call.name, "response": {"result": each.text}}})  # fmt: skip
        elif each.text:
            parts.append({"text": each.text})
        for number, call in enumerate(each.calls):
            part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.args}}  # fmt: skip
            if each.signature and not number:
                signed = each.signature.replace("+", "-").replace("/", "_") if habit.strip else each.signature  # fmt: skip
                part["thoughtSignature"] = signed
            if habit.new_ids:
                part["functionCall"]["id"] = call.id
            parts.append(part)
        role = "model" if each.role == "assistant" else "user"
        if each.call and listed and "functionResponse" in listed[-1]["parts"][0]:
            listed[-1]["parts"] += parts
        else:
            listed.append({"role": role, "parts": parts})
    tools = [{"functionDeclarations": [{"name": each, "parameters": _schema(each)} for each in prompt.tools]}]  # fmt: skip
    body = {"contents": listed, "tools": tools, "generationConfig": {"temperature": 0}}
    system = {"systemInstruction": {"role": "user", "parts": [{"text": prompt.system}]}}
    return body | (system if prompt.system else {})


def _converse(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    listed: list[Any] = []
    for each in prompt.messages:
        blocks: list[Any] = []
        if each.thinking:
            blocks.append({"reasoningContent": {"reasoningText": {"text": each.thinking, "signature": each.signature}}})  # fmt: skip
        if each.image:
            blocks.append(
                {"image": {"format": "png", "source": {"bytes": _image(each)}}}
            )
        if each.call:
            blocks.append({"toolResult": {"toolUseId": each.call.id, "content": [{"text": each.text}], "status": "success"}})  # fmt: skip
        elif each.text:
            blocks.append({"text": each.text})
        blocks += [{"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.args}} for call in each.calls]  # fmt: skip
        role = "assistant" if each.role == "assistant" else "user"
        if listed and listed[-1]["role"] == role == "user" and each.call:
            listed[-1]["content"] += blocks
        else:
            listed.append({"role": role, "content": blocks})
    if habit.moves_cache:
        listed[-1]["content"] = [*listed[-1]["content"], {"cachePoint": {"type": "default"}}]  # fmt: skip
    tools = [{"toolSpec": {"name": each, "inputSchema": {"json": _schema(each)}}} for each in prompt.tools]  # fmt: skip
    body: dict[str, Any] = {"messages": listed}
    if tools:
        body["toolConfig"] = {"tools": tools}
    return body | ({"system": [{"text": prompt.system}]} if prompt.system else {})


def _cohere2(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    body = _chat(prompt, habit)
    for each in body["messages"]:
        if "tool_calls" in each and not each.get("content"):
            each.pop("content", None)
            each["tool_plan"] = "I will look."
    return body


def _cohere1(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    """Everything but the last message is history; results of tools stand in a member of their own."""
    history: list[Any] = []
    messages = list(prompt.messages)
    results: list[Message] = []
    while messages and messages[-1].call:
        results.insert(0, messages.pop())
    message = "" if results else messages.pop().text
    for each in messages:
        if each.call:
            made = _cohere1_result(each)
            if history and history[-1]["role"] == "TOOL":
                history[-1]["tool_results"].append(made)
            else:
                history.append({"role": "TOOL", "tool_results": [made]})
        elif each.role == "assistant":
            said: dict[str, Any] = {"role": "CHATBOT", "message": each.text}
            if each.calls:
                said["tool_calls"] = [{"name": call.name, "parameters": call.args} for call in each.calls]  # fmt: skip
            history.append(said)
        else:
            history.append({"role": "USER", "message": each.text})
    tools = [{"name": each, "description": each, "parameter_definitions": {"q": {"type": "str"}}} for each in prompt.tools]  # fmt: skip
    body: dict[str, Any] = {"model": "command-r", "message": message, "chat_history": history, "tools": tools, "stream": prompt.stream, "preamble": prompt.system}  # fmt: skip
    return body | ({"tool_results": [_cohere1_result(each) for each in results]} if results else {})  # fmt: skip


def _cohere1_result(each: Message) -> dict[str, Any]:
    if each.call is None:
        raise ValueError("no result")
    call = {"name": each.call.name, "parameters": each.call.args}
    return {"call": call, "outputs": [{"result": each.text}]}


def _ollama(prompt: Prompt, habit: Habit) -> dict[str, Any]:
    body = _chat(prompt, replace(habit, listed=False, null="empty", extra=False))
    for each in body["messages"]:
        each.pop("tool_call_id", None)
        if isinstance(each["content"], list):
            each["content"] = each["content"][0]["text"]
        for call in each.get("tool_calls", ()):
            call.pop("id")
            call.pop("type")
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return body


_SHAPES = {
    "chat": _chat,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "converse": _converse,
    "invoke": _invoke,
    "cohere2": _cohere2,
    "cohere1": _cohere1,
    "ollama": _ollama,
}
