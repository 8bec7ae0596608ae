"""Prompts that changed, as events, and what a successor learns of them.

What lives here: the event's words, and feeding `Prompts` from the records of another life, so that a change is told once however often
the worker starts. What does not: when a prompt is new (`identify/prompts.py`).
"""

import msgspec

from proxy.identify.prompts import Prompts
from proxy.recognised import BY_RUN
from proxy.record.codec import Event, Open

PROMPT_CHANGE = "prompt_change"


class PromptChange(msgspec.Struct, frozen=True):
    """The JSON in `detail` of the event `prompt_change`: values of `prompt_hash` in 16 hexadecimal digits."""

    before: str
    after: str


_json = msgspec.json.Encoder()
_read = msgspec.json.Decoder(PromptChange)


def detail_of(before: int, after: int) -> str:
    """Write what changed."""
    return _json.encode(PromptChange(f"{before:016x}", f"{after:016x}")).decode()


def hear(prompts: Prompts, record: Open | Event) -> None:
    """Learn from a record. Of a call that has its run's name the prompt said nothing of that agent.

    The event comes before the `Open` of its call: what was told is known even where that call is lost.
    """
    if isinstance(record, Open):
        if record.prompt_hash is not None and record.agent_source not in ("", BY_RUN):
            prompts.changed(record.tenant, record.agent, record.prompt_hash)
    elif record.type == PROMPT_CHANGE:
        try:
            after = int(_read.decode(record.detail).after, 16)
        except (msgspec.MsgspecError, ValueError):
            return  # of another version: it is an event all the same
        prompts.changed(record.tenant, record.agent, after)
