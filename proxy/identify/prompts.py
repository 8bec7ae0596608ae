"""Whether an agent's prompt is still the same.

What lives here: the masked hash of system prompt and tools, and which ones an agent had. What does not: names made of a prompt
(`agent_names.py`), where the prompt stands (`conversation.py`).
"""

import re
from collections import OrderedDict

import xxhash

from proxy.identify.hashing import utf8
from proxy.identify.known import Known

MAX_KNOWN_PROMPTS = 256
MAX_KNOWN_CHARS = 1 << 20
MAX_KNOWN_WORDS = 8192
MAX_WORD_CHARS = 40
"""A longer word is masked each time, so that what is remembered stays small."""

VOLATILE = re.compile(
    r"""
    [0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}   # UUIDs
    | \b(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b
    | \b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?
        |nov(?:ember)?|dec(?:ember)?)\b
    | \b[ap]\.?m\b\.? | \b(?:utc|gmt|[cemp][sd]t)\b
    | \b(?=[a-z_-]{0,32}+[0-9])[0-9a-z_-]{16,}\b                                 # ids with digits in them, soon: bounded, or a long word costs its square
    | [0-9]+(?:[.:/,\-T][0-9]+)*(?:st|nd|rd|th|z)?\b                             # dates, times, numbers
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NAMES_OF_TIME = frozenset(
    [
        "mon",
        "monday",
        "tue",
        "tueday",
        "tues",
        "tuesday",
        "wed",
        "wedday",
        "wednes",
        "wednesday",
        "thu",
        "thurs",
        "thursday",
        "thuday",
        "fri",
        "friday",
        "sat",
        "satur",
        "saturday",
        "satday",
        "sun",
        "sunday",
        "jan",
        "january",
        "feb",
        "february",
        "mar",
        "march",
        "apr",
        "april",
        "may",
        "jun",
        "june",
        "jul",
        "july",
        "aug",
        "august",
        "sep",
        "sepember",
        "sept",
        "september",
        "oct",
        "october",
        "nov",
        "november",
        "dec",
        "december",
        "am",
        "pm",
        "utc",
        "gmt",
        "cst",
        "cdt",
        "est",
        "edt",
        "mst",
        "mdt",
        "pst",
        "pdt",
    ]
)
"""All words of letters only that are volatile."""
_PUNCTUATION = ".,;:!?\"'`*()[]{}<>#/"


class _Masked(dict[str, str]):
    """Words as they look without what varies from call to call. None of it has a blank in it, so words can be masked one by one."""

    def __missing__(self, word: str) -> str:
        bare = word if word.isalpha() else word.strip(_PUNCTUATION)
        is_plain = bare.isascii() and bare.isalpha() and bare.lower() not in _NAMES_OF_TIME  # fmt: skip
        masked = word if is_plain else VOLATILE.sub("#", word)
        if len(word) <= MAX_WORD_CHARS:
            if len(self) >= MAX_KNOWN_WORDS:
                self.clear()
            self[word] = masked
        return masked


class PromptHashes:
    """Hashes prompts so that clocks, counters and ids in them do not count; knows the newest ones and their words."""

    def __init__(self, seed: int) -> None:
        """`seed` keys the hashes."""
        self._seed = seed
        self._masked = _Masked()
        self._known: Known[tuple[str, tuple[str, ...]], int] = Known(MAX_KNOWN_PROMPTS, MAX_KNOWN_CHARS)  # fmt: skip

    def hash(self, system: str, tools: tuple[str, ...]) -> int | None:
        """Hash a prompt; `None` without prompt and tools."""
        found = self._known.get((system, tools))
        if found is not None or not (tools or system.strip()):
            return found
        masked = " ".join(map(self._masked.__getitem__, system.split()))
        digest = xxhash.xxh3_64(utf8(masked), seed=self._seed)
        for tool in sorted(tools):
            digest.update(b"\0" + utf8(tool))
        made = digest.intdigest()
        self._known.add((system, tools), made, len(system) + sum(map(len, tools)))
        return made


class Prompts:
    """Tells when an agent's prompt is one that it did not have before; bounded in agents and in prompts of each."""

    def __init__(self, max_agents: int = 1000, max_prompts: int = 32) -> None:
        """An agent may have several prompts; of more than `max_prompts` the oldest is forgotten."""
        self._max_agents = max_agents
        self._max_prompts = max_prompts
        self._known: OrderedDict[tuple[str, str], list[int]] = OrderedDict()

    def changed(self, tenant: str, agent: str, digest: int) -> int | None:
        """Note a prompt; give the hash of the one before where this one is new to an agent that is known."""
        known = self._known.setdefault((tenant, agent), [])
        self._known.move_to_end((tenant, agent))
        if len(self._known) > self._max_agents:
            self._known.popitem(last=False)
        before = known[-1] if known else None
        is_new = digest not in known
        if not is_new:
            known.remove(digest)
        known.append(digest)
        del known[: -self._max_prompts]
        return before if is_new else None

    def snapshot(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """Give tenant, agent and prompts of each, the longest unheard of first."""
        return tuple((*who, tuple(known)) for who, known in self._known.items())

    def restore(self, saved: tuple[tuple[str, str, tuple[int, ...]], ...]) -> None:
        """Take over what another life knew."""
        for tenant, agent, known in saved:
            for digest in known:
                self.changed(tenant, agent, digest)
