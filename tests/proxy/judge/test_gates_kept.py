"""What becomes of calls when gates and breakers are really kept: from an attempt's end to the refusal of the next call.

What lives here: the checks C09 to C18 as far as gates and breakers go, on the keeper in memory and a clock of the test's own. What does
not: the breaker's states one by one (`test_breaker.py`), who calls all this.
"""

from functools import partial

import pytest
from msgspec.structs import replace

from proxy.identify.hashing import key
from proxy.judge.claims import Phase
from proxy.judge.gate_settings import (
    BreakerSettings,
    GateSettings,
    QuotaGateSettings,
    RateGateSettings,
)
from proxy.judge.gates import Gates, verdict
from proxy.judge.matching import Site
from proxy.judge.refusals import Asker, refuse
from proxy.judge.signals import ALIVE, End, read_signals
from proxy.judge.verdict import Action
from proxy.meter.faults import read_fault
from proxy.model import ErrorType, Kind, Outcome
from proxy.state.accounts import Accounts

START_US = 1_795_000_000_000_000
SECOND = 1_000_000
NOBODY = ("", "", "", "")
SITE = Site("acme", "coder", "key-a", "openai", "gpt-4o", Kind.LLM)
ORIGIN = "https://api.openai.com"
ASKER = Asker("openai_chat", "openai")
ENFORCED = GateSettings(
    BreakerSettings(mode="enforce", jitter_percent=0),
    RateGateSettings(mode="enforce"),
    QuotaGateSettings(mode="enforce"),
)


class World:
    """Calls through the gates, one keeper, one clock."""

    def __init__(self, settings=ENFORCED):
        self.gates = Gates(settings, partial(key, 7))
        self.accounts = Accounts(1000)
        self.now_us = START_US

    def ask(self, **other):
        """Ask for admission; give the passage and the answer."""
        passage = self.gates.passage(replace(SITE, **other), ORIGIN)
        return passage, self.accounts.claim(passage.claims, NOBODY, self.now_us)

    def tell(self, passage, answer, signals):
        changes = self.gates.changes(passage, signals, answer.holds, self.now_us, 0)
        self.accounts.apply(changes, self.now_us)

    def call(self, end, **other):
        """Make a call that is admitted and ends so."""
        passage, answer = self.ask(**other)
        assert answer.admitted
        self.tell(passage, answer, read_signals(end, self.now_us))

    def refused(self, **other):
        """Give our answer to a call, `None` where it is let through; what it claimed is given back."""
        passage, answer = self.ask(**other)
        if answer.admitted:
            self.tell(passage, answer, read_signals(GONE, self.now_us))
            return None
        found = answer.findings[0]
        return refuse(verdict(passage, found.claim, found), ASKER)

    def phase(self, **other):
        passage = self.gates.passage(replace(SITE, **other), ORIGIN)
        return self.accounts.phase(passage.breaker, self.now_us)

    def wait(self, seconds):
        self.now_us += int(seconds * SECOND)


def rejected(status, body=b"", *headers):
    fault, _ = read_fault(status, body)
    return End(
        Outcome.REJECTED if status < 500 else Outcome.UPSTREAM_ERROR,
        fault.error_type,
        fault.error_type,
        status,
        fault.code,
        headers,
        body,
    )


def header(answer, name):
    return next((int(value) for found, value in answer.headers if found == name), None)


GONE = End(Outcome.CLIENT_ABORT)
WHOLE = End(Outcome.COMPLETED, status=200)
CUT = End(Outcome.UPSTREAM_ABORT, ErrorType.CUT, status=200)
QUOTA = b'{"error":{"message":"You exceeded","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}'
ENFORCED_SPEND = b'{"type":"error","error":{"type":"rate_limit_error","message":"no","details":{"error_code":"enforced_spend_limit_reached"}}}'


def broken(world):
    """Have five calls fail."""
    for _ in range(5):
        world.call(rejected(500))
    return world


def test_C09_five_500s_open_the_breaker_and_a_thousand_calls_are_told_how_long():
    world = broken(World())
    world.wait(2)
    for _ in range(1000):
        answer = world.refused()
        assert answer is not None
        assert answer.status == 503
        assert abs(header(answer, b"Retry-After") - 3) <= 1


def test_C10_of_a_thousand_that_wait_only_a_few_probe_and_a_success_lets_more_through():
    world = broken(World())
    world.wait(5)
    counts = []
    while world.phase() is not Phase.CLOSED:
        asked = [world.ask() for _ in range(1000)]
        admitted = [each for each in asked if each[1].admitted]
        counts.append(len(admitted))
        for passage, answer in admitted:
            world.tell(passage, answer, read_signals(WHOLE, world.now_us))
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[-1] <= 4
    assert world.refused() is None


def test_C10_a_failed_probe_opens_it_again_for_longer_up_to_a_bound():
    world = broken(World())
    waits = [5]
    for _ in range(8):
        world.wait(waits[-1])
        world.call(rejected(503))
        answer = world.refused()
        assert answer is not None
        waits.append(header(answer, b"Retry-After"))
    assert waits[:4] == [5, 10, 20, 40]
    assert max(waits) == 120


def test_C11_a_probe_that_its_agent_leaves_gives_its_permit_back():
    world = broken(World())
    world.wait(5)
    passage, probe = world.ask()
    assert probe.admitted
    assert not world.ask()[1].admitted
    world.tell(passage, probe, read_signals(GONE, world.now_us))
    assert world.ask()[1].admitted


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param([(b"Retry-After", b"34")], 34, id="seconds"),
        pytest.param([(b"Retry-After-Ms", b"1500")], 2, id="milliseconds"),
        pytest.param([(b"Retry-After", b"2.5")], 3, id="float"),
        pytest.param([(b"date", b"Sun, 22 Nov 2026 12:00:00 GMT"), (b"Retry-After", b"Sun, 22 Nov 2026 12:00:20 GMT")], 20, id="date"),
        pytest.param([(b"Retry-After", b"1000000000")], 300, id="1e9"),
        pytest.param([(b"Retry-After", b"-5")], 1, id="negative"),
        pytest.param([(b"Retry-After", b"soon")], 1, id="garbage"),
        pytest.param([(b"x-ratelimit-remaining-requests", b"0"), (b"x-ratelimit-reset-requests", b"1m30s")], 90, id="reset"),
        pytest.param([], 1, id="nothing"),
    ],
)  # fmt: skip
def test_C12_fifty_429s_gate_one_key_as_long_as_was_asked_and_nobody_else(
    headers, seconds
):
    world = World()
    under_way = [world.ask() for _ in range(50)]
    for passage, answer in under_way:
        assert answer.admitted
        said = read_signals(rejected(429, b"", *headers), world.now_us)
        world.tell(passage, answer, said)
    answer = world.refused()
    assert answer is not None
    assert (answer.status, header(answer, b"Retry-After")) == (429, seconds)
    assert world.phase() is Phase.CLOSED
    assert world.refused(caller="key-b") is None
    assert world.refused(model="gpt-5") is None
    world.wait(seconds)
    assert world.refused() is None


@pytest.mark.parametrize("body", [QUOTA, ENFORCED_SPEND], ids=["openai", "anthropic"])
def test_C13_spent_money_gates_all_models_of_the_key_for_good(body):
    world = World()
    world.call(rejected(429, body, (b"retry-after", b"1")))
    for model in ("gpt-4o", "gpt-5"):
        answer = world.refused(model=model)
        assert answer is not None
        assert answer.status == 400
        assert (b"x-should-retry", b"false") in answer.headers
        assert header(answer, b"Retry-After") is None
    assert world.phase() is Phase.CLOSED
    assert world.refused(caller="key-b") is None
    world.wait(60)
    assert world.refused() is None


@pytest.mark.parametrize("end", [rejected(529), CUT], ids=["529", "abort"])
def test_C14_overload_and_broken_streams_open_the_breaker(end):
    world = World()
    for _ in range(5):
        world.call(end)
    assert world.phase() is Phase.OPEN


@pytest.mark.parametrize(
    "end",
    [rejected(400), rejected(401), rejected(404), GONE],
    ids=["400", "401", "404", "gone"],
)
def test_C14_refusals_and_agents_that_leave_do_not(end):
    world = World()
    for _ in range(50):
        world.call(end)
    assert world.phase() is Phase.CLOSED


def test_C15_a_long_healthy_stream_brings_recovery_at_its_first_event():
    world = broken(World())
    world.wait(5)
    passage, stream = world.ask()
    world.tell(passage, stream, ALIVE)
    passage, second = world.ask()
    assert second.admitted
    world.tell(passage, stream, read_signals(WHOLE, world.now_us))
    assert world.ask()[1].admitted


def test_C16_a_model_that_fails_leaves_another_on_the_same_host_alone():
    world = broken(World())
    assert world.refused() is not None
    assert world.refused(model="gpt-5") is None


def test_C18_who_observes_refuses_nothing_and_says_what_it_would_have_done():
    world = broken(World(GateSettings()))
    world.call(rejected(429, QUOTA))
    world.call(rejected(429, b"", (b"retry-after", b"9")))
    passage, answer = world.ask()
    assert answer.admitted
    said = [verdict(passage, found.claim, found) for found in answer.findings]
    assert [each.policy for each in said] == ["breaker", "rate_gate", "quota_gate"]
    assert {each.action for each in said} == {Action.WOULD_BLOCK}
