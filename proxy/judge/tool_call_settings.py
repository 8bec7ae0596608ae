"""The settings of the policy `tool_calls`.

What lives here: what can be set. What does not: what is said of an answer (`tool_calls.py`); this file imports nothing that reads answers.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from proxy.judge.matching import ModeName

ProblemName = Literal["unknown_tool", "bad_json", "bad_arguments"]


ActionName = Literal["block", "repair"]


class ToolCallOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something else for some calls."""

    tenant: str = ""
    agent: str = ""
    route: str = ""
    model: str = ""
    mode: ModeName | UnsetType = UNSET
    action: ActionName | UnsetType = UNSET
    problems: tuple[ProblemName, ...] | UnsetType = UNSET


class ToolCallSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers that ask for calls which cannot work. In any mode they are counted."""

    mode: ModeName = "observe"
    action: ActionName = "block"
    """What enforcing does: `block` gives the agent an error instead of the answer; `repair` first asks the model once more."""
    problems: tuple[ProblemName, ...] = ("unknown_tool", "bad_json", "bad_arguments")
    """Which of them are a reason to stop an answer."""
    when: tuple[ToolCallOverride, ...] = ()
