"""How long a simulated model takes: pure functions of what is asked, with dice that the caller brings.

What lives here: the time to the first token, which grows with the prompt and with reasoning, and the time of each
token. What does not: waiting (`sending.py`).
"""

from dataclasses import dataclass
from random import Random

from proxy.simulate.question import Bill


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of a model; the defaults are those of a middling one."""

    speed: float = 1.0
    """How much faster than real; 0 for no waiting at all."""
    first_token_seconds: float = 0.35
    seconds_per_1000_prompt_tokens: float = 0.02
    """Of what is not read from the cache; that costs a tenth."""
    tokens_per_second: float = 80.0
    jitter: float = 0.25
    """Standard deviation of each duration, as a share of it."""

    def __post_init__(self) -> None:
        """Refuse what would be no speed."""
        if (
            min(self.speed, self.first_token_seconds, self.jitter) < 0
            or self.tokens_per_second <= 0
        ):
            raise ValueError(
                "speed, first_token_seconds and jitter are not negative, tokens_per_second is positive"
            )

    def before_first_token(self, bill: Bill, dice: Random) -> float:
        """Give the seconds until something can be seen."""
        prompt = bill.all_input - 0.9 * bill.cache_read
        seconds = (
            self.first_token_seconds
            + prompt / 1000 * self.seconds_per_1000_prompt_tokens
        )
        seconds += bill.reasoning / self.tokens_per_second
        return self._jittered(seconds, dice)

    def of_tokens(self, tokens: int, dice: Random) -> float:
        """Give the seconds that so many tokens take."""
        return self._jittered(tokens / self.tokens_per_second, dice)

    def scaled(self, seconds: float) -> float:
        """Give a duration at this speed."""
        return seconds / self.speed if self.speed else 0.0

    def _jittered(self, seconds: float, dice: Random) -> float:
        factor = min(max(dice.gauss(1.0, self.jitter), 0.25), 4.0)
        return self.scaled(seconds * factor)
