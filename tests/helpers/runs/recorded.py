"""Which recorded calls are one run, told independently of the product.

A call follows another one of the same file where its list of messages begins with all of the other's and goes on with what that one
was answered. Each call has one follower: another one that goes on from the same call branches off, and is a run of its own.

Calls of one file of which one's prompt quotes what the other was answered are a pipeline or a crew: to join them is no mistake, and not
to join them none either. Files with one call each, and files of which one sends an id that was issued in the other, are one recording.

Many files are word-for-word copies of each other (one test, recorded with other options): where a first request *and* its answer, ids
included, are the same in two files, nothing on the wire tells their second calls apart, so only one of these files is used. Which ones
are left out depends on the recordings alone.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from tests.helpers.recordings import Recording, recordings
from tests.helpers.runs import answers

_SYSTEM = ("system", "developer")


class Heard(NamedTuple):
    """One recorded call."""

    recording: Recording
    said: answers.Said
    messages: list[str]
    previous: str
    """`previous_response_id`."""
    tells_apart: str
    """Request and answer as text."""

    @property
    def is_later(self) -> bool:
        """Whether the model has spoken before."""
        return any(json.loads(each)[0] == "assistant" for each in self.messages)

    @property
    def place(self) -> str:
        return self.recording.id


def heard(folder: Path) -> dict[str, list[Heard]]:
    """Read all LLM calls, by file, in the order in which they were made."""
    names = sorted(path.name.removesuffix(".jsonl.gz") for path in folder.glob("*.gz"))
    found: dict[str, list[Heard]] = defaultdict(list)
    for each in recordings(folder, *names):
        is_llm = each.api not in ("embeddings", "other", "rerank", None)
        if each.method == "POST" and is_llm and _body(each) is not None:
            found[each.source].append(_heard(each))
    return found


def without_copies(files: dict[str, list[Heard]]) -> tuple[dict[str, list[Heard]], int]:
    """Leave out the files of which another one has a call with the same request and answer."""
    seen: set[tuple[str, str]] = set()
    kept = {}
    for source, calls in files.items():
        words = {(call.recording.provider, call.tells_apart) for call in calls}
        if words.isdisjoint(seen):
            kept[source] = calls
        seen |= words
    return kept, len(files) - len(kept)


def pieces_of_one(files: dict[str, list[Heard]]) -> dict[str, str]:
    """Give for each file the recording to which it belongs."""
    issued: dict[str, str] = {}
    belongs = {}
    for source, calls in files.items():
        folder, _, name = source.rpartition("/")
        belongs[source] = folder if len(calls) == 1 and "_post_" in name else source
        for call in calls:
            issued |= {call_id: belongs[source] for call_id, _, _ in call.said.calls if len(call_id) > 11}  # fmt: skip
    for source, calls in files.items():
        sent = b"".join(call.recording.request_body for call in calls)
        others = {where for call_id, where in issued.items() if call_id.encode() in sent}  # fmt: skip
        if len(others) == 1:
            belongs[source] = others.pop()
    return belongs


def quotes(calls: list[Heard]) -> bool:
    """Tell whether a prompt quotes another call's answer, which that one's own prompt did not hold."""
    prompts = ["".join(json.loads(each)[1] for each in call.messages) for call in calls]
    for before, call in enumerate(calls):
        answer = "".join(call.said.text.split())
        parts = [answer[at : at + 30] for at in range(0, max(len(answer) - 29, 0), 10)]
        own = [part for part in parts if part not in prompts[before]]
        if any(part in later for part in own for later in prompts[before + 1 :]):
            return True
    return False


def runs(calls: list[Heard]) -> dict[str, int]:
    """Give each call of a file the number of its run."""
    number: dict[str, int] = {}
    followed: set[int] = set()
    for now, call in enumerate(calls):
        earlier = [
            before
            for before in range(now)
            if before not in followed and _follows(call, calls[before])
        ]
        if earlier:
            best = max(earlier, key=lambda before: (len(calls[before].messages), before))  # fmt: skip
            followed.add(best)
            number[call.place] = number[calls[best].place]
        else:
            number[call.place] = now
    return number


def _follows(call: Heard, before: Heard) -> bool:
    if call.previous:
        return call.previous == before.said.response_id
    count = len(before.messages)
    if not count or call.messages[:count] != before.messages or len(call.messages) <= count:  # fmt: skip
        return False
    answer = json.loads(call.messages[count])
    if answer[0] != "assistant":
        return False
    answered = "".join(before.said.text.split())[:30]
    names = [name for _, name, _ in before.said.calls]
    # A streamed or filtered answer may not be in the recording: then what follows it is believed.
    return (bool(answered) and answer[1].startswith(answered)) or answer[2][: len(names)] == names != [] or not (answered or names)  # fmt: skip


def _body(recording: Recording) -> dict[str, Any] | None:
    try:
        found = json.loads(recording.request_body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _heard(recording: Recording) -> Heard:
    body = _body(recording) or {}
    said = answers.read(recording.body, recording.streamed)
    listed: list[Any] = []
    for member in ("chat_history", "messages", "contents", "input", "prompt", "inputText", "message"):  # fmt: skip
        found = body.get(member)
        listed += found if isinstance(found, list) else [found] if found else []
    messages: list[str] = []
    for each in listed:
        simple = _simple(each)
        if simple is None:
            continue
        if simple[0] == "assistant" and messages and json.loads(messages[-1])[0] == "assistant":  # fmt: skip
            last = json.loads(messages.pop())
            simple = ["assistant", last[1] + simple[1], last[2] + simple[2]]
        messages.append(json.dumps(simple))
    tells = json.dumps([messages, said.text, said.calls], default=str)
    previous = body.get("previous_response_id") or body.get("previous_interaction_id")
    return Heard(recording, said, messages, previous or "", tells)


def _simple(message: Any) -> list[Any] | None:
    """Give speaker, text without blanks and tools called; `None` of system prompts and reasoning."""
    if not isinstance(message, dict):
        return ["user", "".join(str(message).split()), []]
    kind, role = message.get("type") or "", str(message.get("role") or "").lower()
    if role in _SYSTEM or kind == "reasoning":
        return None
    if kind in ("function_call", "custom_tool_call"):
        return ["assistant", "", [message.get("name")]]
    if kind.endswith("_call_output"):
        return ["user", "".join(str(message.get("output")).split()), []]
    text, names = "", []
    blocks = message.get("content") or message.get("parts") or message.get("message") or ""  # fmt: skip
    for block in blocks if isinstance(blocks, list) else [blocks]:
        if isinstance(block, str):
            text += block
        elif block.get("text") and not block.get("thought"):
            text += block["text"]
        else:
            call = block.get("toolUse") or block.get("functionCall") or (block if block.get("type") == "tool_use" else None)  # fmt: skip
            result = block.get("toolResult") or block.get("functionResponse") or (block if block.get("type") == "tool_result" else None)  # fmt: skip
            names += [call.get("name")] if call else []
            text += json.dumps(result.get("content", result.get("response"))) if result else ""  # fmt: skip
    names += [(call.get("function") or call).get("name") for call in message.get("tool_calls") or []]  # fmt: skip
    speaker = "assistant" if role in ("assistant", "model", "chatbot") else "user"
    return [speaker, "".join(text.split()), names]
