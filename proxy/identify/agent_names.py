"""Readable names for agents that nobody named, made of what their prompts say they are.

What lives here: the name, and that there are not too many of them. What does not: names that were given (`who.py`), whether a prompt is
still the same (`prompts.py`).
"""

import re
from collections.abc import Mapping, Sequence
from itertools import islice

from proxy.identify.prompts import VOLATILE

NAMED_CHARS = 4000
"""An agent says who it is at the beginning of its prompt."""
MAX_WORDS = 5
MAX_TOOLS_NAMED = 3
MAX_AGENTS = 200
MAX_NAME_CHARS = 64
MAX_ROLES = 4
LOOKED_CHARS = 400
OTHER_AGENT = "other"


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
_PERSONAL = re.compile(
    r"(?<!\S)\S*@\S*|https?://\S*|(?:mr|mrs|ms|dr)\.?\s+\S+", re.IGNORECASE
)
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
    words = [word.lower() for word in _WORD.findall(VOLATILE.sub(" ", whole))]
    telling = [word for word in words if word not in _FILLERS and word not in without]
    kept = list(dict.fromkeys(telling))[:MAX_WORDS]
    while len(kept) > 1 and kept[-1] in _ENDS_NO_NAME:
        kept.pop()
    return "-".join(kept)[:MAX_NAME_CHARS]


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
