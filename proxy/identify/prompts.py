"""Names for agents that nobody named, and whether their prompt is still the same.

What lives here: the masked hash of system prompt and tools, and a readable name made of them. What does not: names that were given
(`who.py`), where the prompt stands (`conversation.py`).
"""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import islice

import xxhash

from proxy.identify.hashing import utf8
from proxy.identify.known import Known

NAMED_CHARS = 4000
"""An agent says who it is at the beginning of its prompt."""
MAX_WORDS = 5
MAX_TOOLS_NAMED = 3
MAX_AGENTS = 200
MAX_NAME_CHARS = 64
MAX_ROLES = 4
LOOKED_CHARS = 400
MAX_KNOWN_PROMPTS = 256
MAX_KNOWN_CHARS = 1 << 20
MAX_KNOWN_WORDS = 8192
MAX_WORD_CHARS = 40
"""A longer word is masked each time, so that what is remembered stays small."""
OTHER_AGENT = "other"

_VOLATILE = re.compile(
    r"""
    [0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}   # UUIDs
    | \b(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b
    | \b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?
        |nov(?:ember)?|dec(?:ember)?)\b
    | \b[ap]\.?m\b\.? | \b(?:utc|gmt|[cemp][sd]t)\b
    | \b(?=[a-z_-]*[0-9])[0-9a-z_-]{16,}\b                                       # ids with digits in them
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
_IS_CALLED = re.compile(
    r"""
    \b(?:your\s+(?:internal\s+)?name\s+is|you\s+are\s+called|you\s+are\s+named)\s+["'`*]*(?P<name>[^\s"'`*.,;:!\n][^"'`*.,;:!\n]{0,40})
    | \byou(?:\s+are|['\u2019]re)\s+(?:an?\s+|the\s+|now\s+)*["'`*]*(?P<role>[^.,;:!?\n"'`*(]{3,120})
    | \bact\s+as\s+(?:an?\s+|the\s+)?(?P<part>[^.,;:!?\n"'`*(]{3,120})
    | \bdescription\s+about\s+you\s+is\s+["'](?P<about>[^.,;:!?\n"'`*(]{3,120})
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ENDS_ROLE = re.compile(
    r"\b(?:that|who|which|whose|designed|tasked|responsible|able|capable|for|with|working|specialized|specialised|specializing|in|at|to|and|built|from|helping|powered)\b",
    re.IGNORECASE,
)
_MADE_UP = re.compile(r"_*(?=[0-9a-f]*[0-9])[0-9a-f]{6,}", re.IGNORECASE)
"""A name that a program made of random digits."""
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_NO_WORD = re.compile(r"[\W_]+")
_PERSONAL = re.compile(r"\S*@\S*|https?://\S*|(?:mr|mrs|ms|dr)\.?\s+\S+", re.IGNORECASE)
_FILLERS = frozenset(
    ["a", "an", "the", "highly", "very", "expert", "skilled", "experienced", "helpful", "friendly", "professional",
     "powerful", "advanced", "smart", "useful", "world", "class", "of", "you", "your", "are", "please", "and", "is",
     "be", "will", "must", "should", "always", "user", "user's", "users", "super", "clever", "i", "we", "our", "you're"]
)  # fmt: skip
_VAGUE = frozenset(
    ["a", "ability", "able", "about", "access", "all", "also", "answer", "answering", "answers", "any", "anything", "as", "at", "available",
     "based", "built", "but", "by", "calls", "can", "capable", "designed", "do", "everything", "for", "from", "given", "good", "has",
     "have", "help", "helping", "helps", "in", "into", "it", "know", "knows", "named", "on", "or", "perform", "provide",
     "provided", "question", "questions", "related", "respond", "responsible", "solve", "specialised", "specialising",
     "specialized", "specializes", "specializing", "task", "tasked", "tasks", "that", "their", "them", "this", "to", "tool",
     "tools", "use", "uses", "using", "variety", "various", "which", "who", "whose", "with", "work", "working", "world"]
)  # fmt: skip
"""Beside the fillers, what tells nothing where a prompt says what an assistant is for."""
_ENDS_NO_NAME = frozenset(["about", "as", "at", "by", "for", "from", "in", "into", "of", "on", "or", "that", "to", "when", "with"])  # fmt: skip
_GENERIC = frozenset(
    ["", "assistant", "agent", "ai-assistant", "ai-agent", "ai", "model", "language-model", "app", "bot", "chatbot",
     "role-assistant", "large-language-model", "ai-model", "system", "tool", "program"]
)  # fmt: skip
"""What so many prompts say that it names no agent: a tool's name stands beside it."""


class _Masked(dict[str, str]):
    """Words as they look without what varies from call to call. None of it has a blank in it, so words can be masked one by one."""

    def __missing__(self, word: str) -> str:
        bare = word if word.isalpha() else word.strip(_PUNCTUATION)
        is_plain = bare.isascii() and bare.isalpha() and bare.lower() not in _NAMES_OF_TIME  # fmt: skip
        masked = word if is_plain else _VOLATILE.sub("#", word)
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


def readable_name(system: str, tools: Sequence[str]) -> str:
    """Make a name of what the prompt says its reader is and is for, else of its first words, else of the tools; empty of nothing.

    Who the user is stands in prompts, too: beyond what the reader is called, words with a capital are left out.
    """
    start = _PERSONAL.sub(" ", system[:NAMED_CHARS])
    name = _role(start) or _slug(_without_capitals(start))
    if name not in _GENERIC:
        return name
    known = [
        _NO_WORD.sub("-", tool).strip("-").lower()
        for tool in sorted(tools)[:MAX_TOOLS_NAMED]
    ]
    return "-".join(filter(None, [name, *known]))[:MAX_NAME_CHARS]


def _role(start: str) -> str:
    """Give the first thing that the reader is called and that is not what all are called, else what one of those is for."""
    found = list(islice(_IS_CALLED.finditer(start), MAX_ROLES))
    names = [_called(each) for each in found]
    telling = next((name for name in names if name not in _GENERIC), "")
    if telling or not names:
        return telling
    purposes = (_purpose(each) for each, name in zip(found, names, strict=True) if name)
    purpose = next(filter(None, purposes), "")
    return "-".join(filter(None, [names[0], purpose]))[:MAX_NAME_CHARS]


def _called(found: re.Match[str]) -> str:
    if found["name"]:
        return "" if _MADE_UP.fullmatch(found["name"]) else _slug(found["name"])
    said = _ENDS_ROLE.split(_said(found), maxsplit=1)[0].strip()
    first = said.split(" ", 1)[0]
    # "You are talking to …" says who somebody else is.
    is_doing = first.islower() and first.endswith("ing")
    return _slug(_without_capitals(said) if is_doing else said)


def _purpose(found: re.Match[str]) -> str:
    """Say in a few words what something that is called as all are is for."""
    ends = _ENDS_ROLE.search(_said(found))
    rest = _without_capitals(_said(found)[ends.start() :]) if ends else ""
    return _slug(rest, without=_VAGUE)


def _said(found: re.Match[str]) -> str:
    return found["role"] or found["part"] or found["about"] or ""


def _without_capitals(text: str) -> str:
    """Leave out words with a capital that do not begin a sentence."""
    kept, begins = [], True
    for word in text[:LOOKED_CHARS].split():
        if begins or not word[:1].isupper():
            kept.append(word)
        begins = word[-1] in ".!?:"
    return " ".join(kept)


def _slug(text: str, without: frozenset[str] = frozenset()) -> str:
    """Keep the first telling words; what varies from call to call is none."""
    whole = text if len(text) <= LOOKED_CHARS else text[:LOOKED_CHARS].rpartition(" ")[0]  # fmt: skip
    words = [word.lower() for word in _WORD.findall(_VOLATILE.sub(" ", whole))]
    telling = [word for word in words if word not in _FILLERS and word not in without]
    kept = list(dict.fromkeys(telling))[:MAX_WORDS]
    while len(kept) > 1 and kept[-1] in _ENDS_NO_NAME:
        kept.pop()
    return "-".join(kept)[:MAX_NAME_CHARS]


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


class AgentNames:
    """Gives each prompt its agent's name; bounded in number."""

    def __init__(
        self, renamed: Mapping[str, str], max_agents: int = MAX_AGENTS
    ) -> None:
        """`renamed` are the settings' names for names made here."""
        self._renamed = renamed
        self._max_agents = max_agents
        self._names: dict[int, str] = {}
        self._used: set[str] = set()
        self.overflowed = 0
        """Prompts that are called `other` because of the cap."""

    def name(self, digest: int, system: str, tools: Sequence[str]) -> str:
        """Give the name for a prompt with this hash."""
        known = self._names.get(digest)
        if known is not None:
            return known
        made = readable_name(system, tools)
        made = self._renamed.get(made, made)
        if made not in self._used and len(self._used) >= self._max_agents:
            self.overflowed += 1
            return OTHER_AGENT
        self._used.add(made)
        if len(self._names) < 50 * self._max_agents:
            self._names[digest] = made
        return made
