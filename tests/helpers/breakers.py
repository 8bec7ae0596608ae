"""A breaker in a world of calls that succeed, fail, are cancelled, hang, and are told of late or twice."""

from dataclasses import dataclass, field
from random import Random

from proxy.judge.breaker import Breaker, fresh, taken, told, wait_us
from proxy.judge.claims import BreakerRule, Phase

SECOND_US = 1_000_000


def rule_of(dice: Random) -> BreakerRule:
    return BreakerRule(
        consecutive=dice.choice([0, 1, 3, 5]),
        percent=dice.choice([0, 50, 90]),
        minimum=dice.choice([1, 4]),
        window_us=dice.choice([1, 10, 60]) * SECOND_US,
        open_us=dice.choice([1, 5]) * SECOND_US,
        longest_us=dice.choice([5, 30]) * SECOND_US,
        jitter_percent=dice.choice([0, 20, 100]),
        probes=dice.choice([1, 2, 3, 4, 8]),
        probe_us=dice.choice([2, 30]) * SECOND_US,
    )


@dataclass
class World:
    """Knows what ought to hold, and checks it after each event."""

    dice: Random
    rule: BreakerRule
    now_us: int = 1_790_000_000 * SECOND_US
    open_calls: list[int] = field(default_factory=list)
    """Permits of calls under way, of all phases."""
    probes: dict[int, int] = field(default_factory=dict)
    """Permits of probes that were neither given back nor have run out: until when."""
    over: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.breaker: Breaker = fresh(self.now_us)

    def ask(self) -> bool:
        wait = wait_us(self.breaker, self.now_us)
        assert wait >= 0
        if self.breaker.phase is Phase.OPEN:
            assert wait == max(self.breaker.until_us - self.now_us, 0)
        if wait:
            assert self.breaker.phase is not Phase.CLOSED
            return False
        was_open = self.breaker.phase is Phase.OPEN
        self.breaker, permit = taken(self.breaker, self.rule, self.now_us)
        assert permit not in self.probes or self.breaker.phase is Phase.CLOSED
        self.open_calls.append(permit)
        if was_open:
            self.probes.clear()
        if self.breaker.phase is Phase.HALF_OPEN:
            self.probes[permit] = self.now_us + self.rule.probe_us
        self.check()
        return True

    def tell(self, health: int, permit: int) -> None:
        before = self.breaker
        self.breaker = told(before, self.rule, health, permit, self.now_us, self.dice.getrandbits(16))  # fmt: skip
        self.probes.pop(permit, None)
        if self.breaker.phase is not before.phase:
            self.probes.clear()
            if self.breaker.phase is Phase.OPEN:
                self.check_open(before)
        self.check()

    def end(self, health: int) -> None:
        """End any call that is under way; it may be told of again."""
        if self.open_calls:
            permit = self.open_calls.pop(self.dice.randrange(len(self.open_calls)))
            self.over = [*self.over[-20:], permit]
            self.tell(health, permit)

    def first_event(self) -> None:
        """Let a stream begin that goes on."""
        if self.open_calls:
            self.tell(1, self.dice.choice(self.open_calls))

    def late(self) -> None:
        if self.over:
            self.tell(self.dice.choice([-1, 0, 1]), self.dice.choice(self.over))

    def lose(self) -> None:
        """Let a call hang of which nobody ever tells."""
        if self.open_calls:
            self.open_calls.pop(self.dice.randrange(len(self.open_calls)))

    def wait(self) -> None:
        self.now_us += self.dice.choice([1, 1000, SECOND_US, 5 * SECOND_US, 40 * SECOND_US])  # fmt: skip
        self.check()

    def step(self) -> None:
        self.dice.choice([
            self.ask, self.ask, self.ask, lambda: self.end(1), lambda: self.end(-1), lambda: self.end(-1),
            lambda: self.end(0), self.first_event, self.late, self.lose, self.wait,
        ])()  # fmt: skip

    def check(self) -> None:
        self.probes = {permit: until for permit, until in self.probes.items() if until > self.now_us}  # fmt: skip
        live = {permit: until for permit, until in self.breaker.probes if until > self.now_us}  # fmt: skip
        assert live == self.probes  # no permit leaks, none is given back for another
        assert len(self.probes) <= self.breaker.width <= self.rule.probes

    def check_open(self, before: Breaker) -> None:
        opened, rule = self.breaker.until_us - self.now_us, self.rule
        longest = min(rule.open_us << before.opened, rule.longest_us)
        assert longest * (100 - rule.jitter_percent) // 100 <= opened <= longest

    def recover(self) -> None:
        """Show that nothing is stuck: once the upstream is well, so many probes close it, whoever was lost before."""
        self.now_us += self.rule.longest_us + self.rule.probe_us
        self.open_calls.clear()
        width, needed = 1, 1
        while width < self.rule.probes:
            width = min(2 * width, self.rule.probes)
            needed += width
        for _ in range(needed):
            if self.breaker.phase is Phase.CLOSED:
                return
            assert self.ask()
            self.end(1)
        assert self.breaker.phase is Phase.CLOSED
