"""Recognises, without parsing, the deltas of a stream that differ from an already parsed one in their text alone.

Strategy. Most lines of a stream are equal but for one string. Once such a line has been parsed, everything before its text
is known (ids and model do not change within a stream), and so is everything behind it, but for the random `obfuscation`
that OpenAI appends. A line with that beginning, then text without any quote, then a known ending is the same JSON with
another text: there is no room left for usage, a finish reason or an error. Whatever differs is parsed again. A quote in the
text makes a line differ, so escaped JSON inside of a text cannot be taken for structure.
"""

from functools import partial

from proxy.meter import lenient
from proxy.meter.skim import Skimmer, Texts, as_they_are, before

MAX_ENDINGS = 64

ENDS = b"}\n\n"
"""How the last line of an event ends, whatever it says."""

_BACKSLASH = 0x5C
_OBFUSCATION = b',"obfuscation":"'


class PlainDeltas:
    """Learns from parsed lines and takes the text of lines like them."""

    def __init__(
        self,
        skimmer: Skimmer | None = None,
        named: bytes = b"",
        texts: Texts | None = None,
    ) -> None:
        """Teach the skimmer, too; `named` is the line before a delta's data, `texts` copes with endings that vary."""
        self._skimmer = skimmer
        self._named = named
        self._texts = texts
        self._head = b"\n"
        """No line has a line end in it: nothing matches yet."""
        self._head_bytes = 0
        self._endings: set[bytes] = set()
        self._obfuscated = False
        """The endings are known only up to the value of `obfuscation`, which comes last."""
        self._into: list[bytes] = []

    def take(self, line: bytes) -> bool:
        """Append the raw text of a line that is like a learned one to where that one's went."""
        if not line.startswith(self._head):
            return False
        start = self._head_bytes
        quote = line.find(b'"', start)
        if line[quote - 1] == _BACKSLASH:
            return False
        if self._obfuscated:
            known = line.rfind(b'"', quote, -2) + 1
            if line[quote:known] not in self._endings or not line.endswith(b'"}'):
                return False
        elif line[quote:] not in self._endings:
            return False
        self._into.append(line[start:quote])
        return True

    def learn(self, line: bytes, key: bytes, text: str, into: list[bytes]) -> None:
        """Learn a line that says nothing new but `text`, whose member starts with `key` (`b'"content":"'`)."""
        at = line.find(key)
        start = at + len(key)
        quote = line.find(b'"', start)
        if at < 0 or quote < 0 or lenient.unescape([line[start:quote]]) != text:
            return
        ending = line[quote:]
        at = ending.find(_OBFUSCATION)
        if (
            line[:start] != self._head
            or into is not self._into
            or (at >= 0) != self._obfuscated
        ):
            self._head, self._head_bytes, self._into = line[:start], start, into
            self._obfuscated = at >= 0
            self._endings.clear()
        if len(self._endings) < MAX_ENDINGS:
            self._endings.add(ending if at < 0 else ending[: at + len(_OBFUSCATION)])
        if self._skimmer is not None:
            self._teach(self._skimmer, ending, at)

    def _teach(self, skimmer: Skimmer, ending: bytes, obfuscation: int) -> None:
        head = self._named + self._head
        if self._texts is not None:
            skimmer.learn(head, ENDS, self._texts, self._into)
        elif obfuscation < 0:
            skimmer.learn(head, ending + b"\n\n", as_they_are, self._into)
        else:
            known = ending[: obfuscation + len(_OBFUSCATION) - 1]
            skimmer.learn(head, b'"' + ENDS, partial(before, known), self._into)
