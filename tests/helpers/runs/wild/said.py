"""What agents and models say, before any wire family writes it down.

What lives here: messages, answers, and how a framework remembers an answer. What does not: bytes (`requests.py`, `replies.py`), who
says what when (`agents.py`).
"""

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Call:
    """A tool call; without an id where the family issues none."""

    id: str
    name: str
    args: dict[str, Any]


@dataclass(frozen=True)
class Message:
    """One message of any role: user, assistant, tool, or a system message in the middle."""

    role: str
    text: str = ""
    calls: tuple[Call, ...] = ()
    call: Call | None = None
    """The call that a result answers."""
    thinking: str = ""
    signature: str = ""
    image: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What a model answers; `status` 0 is a connection that breaks, 200 an answer."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    signature: str = ""
    status: int = 200
    id: str = ""


def user(text: str, image: bytes = b"") -> Message:
    return Message("user", text, image=image)


def result(call: Call, text: str) -> Message:
    return Message("tool", text, call=call)


@dataclass(frozen=True)
class Habit:
    """What a framework does to what it was answered before it sends it back."""

    strip: bool = False
    think: str = "keep"
    """`keep`, `drop`, or `text`: as `<think>` in the text."""
    new_ids: str = ""
    """A prefix of ids that the framework makes up."""
    compact: bool | None = None
    """How arguments are written again; `None` as they came."""
    sort_keys: bool = False
    ascii: bool = False
    listed: bool = False
    """Content is a list of parts where it may be a string."""
    null: str = "null"
    """Empty content is `null`, `empty` or `absent`."""
    extra: bool = False
    """Members that nobody asked for: `refusal`, `annotations`, `index`."""
    developer: bool = False
    moves_cache: bool = False
    merges_users: bool = False
    json_pretty: bool = False
    """A JSON answer is parsed and written again."""
    made: list[str] = field(default_factory=list, compare=False)

    def arguments(self, call: Call) -> str:
        """Write arguments as text."""
        spaced = None if self.compact is None else ((",", ":") if self.compact else (", ", ": "))  # fmt: skip
        return json.dumps(call.args, ensure_ascii=self.ascii, separators=spaced, sort_keys=self.sort_keys)  # fmt: skip


def remembered(answer: Answer, habit: Habit, dice: random.Random) -> Message:
    """Give an answer as the framework puts it into its history."""
    text, thinking = answer.text, answer.thinking
    if habit.json_pretty and text.startswith("{"):
        text = json.dumps(json.loads(text), indent=2)
    if habit.strip:
        text = text.strip()
    if thinking and habit.think == "text":
        text, thinking = f"<think>\n{thinking}\n</think>\n\n{text}", ""
    if habit.think == "drop":
        thinking = ""
    calls = answer.calls
    if habit.new_ids:
        calls = tuple(replace(each, id=f"{habit.new_ids}{dice.getrandbits(64):016x}") for each in calls)  # fmt: skip
    signature = answer.signature if thinking or not answer.thinking else ""
    return Message("assistant", text, calls, thinking=thinking, signature=signature)


HABITS = {
    "plain": Habit(),
    "langchain": Habit(compact=False, null="empty", extra=True, ascii=True),
    "pydantic": Habit(strip=True, compact=True, think="drop"),
    "listed": Habit(listed=True, sort_keys=True, null="absent"),
    "vercel": Habit(listed=True, compact=True, moves_cache=True, developer=True),
    "dropper": Habit(think="drop", moves_cache=True, merges_users=True),
    "thinker": Habit(think="text", new_ids="pyd_ai_", strip=True),
    "rewriter": Habit(new_ids="call_", compact=True, json_pretty=True),
}
