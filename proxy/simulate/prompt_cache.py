"""The provider's prompt cache: which prefixes of prompts were seen before, bounded and forgetful.

What lives here: automatic caching (OpenAI, Gemini: in blocks of 128 tokens) and caching where the client marks it
(Anthropic), both from 1,024 tokens on. What does not: counting (`tokens.py`).
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from proxy.simulate.tokens import CHARACTERS_PER_TOKEN, LONG, SHORT, Segment, tokens_of

MINIMUM_TOKENS = 1024
BLOCK_TOKENS = 128
MAX_PREFIXES = 100_000
MAX_BLOCKS = 4096
"""Of one prompt; what lies behind them is never read from the cache."""
LIFETIME_SECONDS = {SHORT: 300.0, LONG: 3600.0}


class PromptCache:
    """See the module."""

    def __init__(self, max_prefixes: int = MAX_PREFIXES) -> None:
        self._max = max_prefixes
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def automatic(self, scope: str, parts: Sequence[Segment], now: float) -> int:
        """Give the tokens that are read of this prompt, and remember it."""
        text = "".join(part.text for part in parts)
        size = BLOCK_TOKENS * CHARACTERS_PER_TOKEN
        digest = blake2b(scope.encode(), digest_size=12)
        read, unbroken = 0, True
        for at in range(0, min(len(text), MAX_BLOCKS * size) - size + 1, size):
            digest.update(text[at : at + size].encode("utf-8", "replace"))
            key = digest.digest()
            unbroken = unbroken and self._known(key, now)
            if unbroken:
                read = at + size
            self._remember(key, now + LIFETIME_SECONDS[SHORT])
        tokens = read // CHARACTERS_PER_TOKEN
        return tokens if tokens >= MINIMUM_TOKENS else 0

    def marked(
        self, scope: str, parts: Sequence[Segment], now: float
    ) -> tuple[int, tuple[int, int]]:
        """Give the tokens read, and those written for a short and for a long time, by the client's marks."""
        digest = blake2b(scope.encode(), digest_size=12)
        read = short = long = characters = 0
        marks: list[tuple[bytes, str]] = []
        for part in parts:
            digest.update(part.text.encode("utf-8", "replace"))
            characters += len(part.text)
            tokens = tokens_of(characters)
            key = digest.digest()
            if self._known(key, now):
                read = tokens
            if part.cached in LIFETIME_SECONDS and tokens >= MINIMUM_TOKENS:
                marks.append((key, part.cached))
                if part.cached == LONG:
                    long = tokens
                short = tokens
        if not marks:
            return 0, (0, 0)
        read = min(read, short)
        for key, lifetime in marks:
            self._remember(key, now + LIFETIME_SECONDS[lifetime])
        written_long = max(0, long - read)
        return read, (max(0, short - read - written_long), written_long)

    def _known(self, key: bytes, now: float) -> bool:
        return self._until.get(key, 0.0) > now

    def _remember(self, key: bytes, until: float) -> None:
        self._until[key] = until
        self._until.move_to_end(key)
        while len(self._until) > self._max:
            self._until.popitem(last=False)
