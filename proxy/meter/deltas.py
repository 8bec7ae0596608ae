"""Recognises, without parsing, the deltas of a stream that differ from an already parsed one in their text alone.

Strategy. Most lines of a stream are equal but for one string. Once such a line has been parsed, everything before its text
is known (ids and model do not change within a stream), and so is everything behind it, but for the random `obfuscation`
that OpenAI appends. A line with that beginning, then text without any quote, then a known ending is the same JSON with
another text: there is no room left for usage, a finish reason or an error. Whatever differs is parsed again. A quote in the
text makes a line differ, so escaped JSON inside of a text cannot be taken for structure.
"""

from proxy.meter import lenient

MAX_ENDINGS = 64

_OBFUSCATION = b',"obfuscation":"'


class PlainDeltas:
    """Learns from parsed lines and takes the text of lines like them."""

    def __init__(self) -> None:
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
