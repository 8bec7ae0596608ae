import msgspec
import pytest

from proxy.judge.budgets import Account
from proxy.judge.headroom import Gauge
from proxy.model import (
    Cost,
    CostSource,
    ErrorType,
    Kind,
    Outcome,
    RateLimits,
    Usage,
    UsageSource,
)
from proxy.record.codec import Close, End, Event, Open, PartUsage
from proxy.telemetry import ExchangeMeters, Registry

OPEN = Open(
    "a1",
    "s1",
    1,
    "here",
    "acme",
    agent="bot",
    kind=Kind.LLM,
    route="openai",
    provider="openai",
    operation="chat",
    model_requested="gpt-5",
)
CLOSE = Close(
    "a1",
    2,
    Outcome.COMPLETED,
    ttft_us=200_000,
    duration_us=1_500_000,
    model_served="gpt-5",
    usage=Usage(input=100, cache_read=50, output=10, reasoning=0),
    usage_source=UsageSource.PROVIDER,
    cost=Cost(CostSource.COMPUTED, input=2_000_000, output=500_000),
    ratelimits=RateLimits(
        limit_requests=100, remaining_requests=25, limit_tokens=0, remaining_tokens=5
    ),
)
END = End("a1", 3, Outcome.COMPLETED, overhead_us=700)
WHO = ("acme", "bot")


class Counted:
    """Meters with a look at what they counted."""

    def __init__(self, models=("gpt-5", "gpt-5-mini"), max_names=100):
        self.registry = Registry()
        self.meters = ExchangeMeters(self.registry, frozenset(models), max_names)

    def __getitem__(self, name):
        family = next(
            family for family in self.registry.families() if family.name == name
        )
        return {sample.labels: sample.value for sample in family.samples}

    def count(self, name, labels):
        family = next(
            family for family in self.registry.families() if family.name == name
        )
        return next(
            sample.buckets[-1] for sample in family.samples if sample.labels == labels
        )


def change(record, **fields):
    return msgspec.structs.replace(record, **fields)


@pytest.fixture
def counted():
    return Counted()


def test_a_completed_exchange_is_counted_everywhere(counted):
    counted.meters.apply(OPEN, CLOSE, END)
    assert counted["tacho_attempts_total"] == {
        (*WHO, "openai", "gpt-5", "llm", "completed"): 1
    }
    assert counted["tacho_steps_total"] == {(*WHO, "llm"): 1}
    assert counted["tacho_cost_usd_total"] == {(*WHO, "gpt-5"): 2.5e-6}
    assert counted["tacho_tokens_total"] == {
        (*WHO, "gpt-5", "input"): 100,
        (*WHO, "gpt-5", "cache_read"): 50,
        (*WHO, "gpt-5", "output"): 10,
    }
    assert counted["tacho_attempt_duration_seconds"] == {("openai", "gpt-5"): 1.5}
    assert counted["tacho_step_duration_seconds"] == {("bot", "llm"): 1.5}
    assert counted["tacho_ttft_seconds"] == {("openai", "gpt-5"): 0.2}
    assert counted["tacho_overhead_seconds"] == {(): 0.0007}
    assert counted["tacho_retries_total"] == {}
    assert counted["tacho_unpriced_total"] == {}
    assert counted["tacho_usage_estimated_total"] == {}
    assert counted["tacho_unmetered_total"] == {}


def test_the_conventions_metrics_say_all_input_and_all_output(counted):
    counted.meters.apply(OPEN, CLOSE, END)
    assert counted["gen_ai_client_token_usage"] == {
        ("chat", "openai", "gpt-5", "input"): 150,
        ("chat", "openai", "gpt-5", "output"): 10,
    }
    assert counted["gen_ai_client_operation_duration_seconds"] == {
        ("chat", "openai", "gpt-5", ""): 1.5
    }


def test_the_conventions_know_other_names_for_some_providers_and_none_for_tools(
    counted,
):
    counted.meters.apply(
        change(OPEN, provider="azure"), change(CLOSE, usage=Usage(output=3)), END
    )
    counted.meters.apply(change(OPEN, operation="http"), CLOSE, END)
    assert counted["gen_ai_client_token_usage"] == {
        ("chat", "azure.ai.openai", "gpt-5", "output"): 3
    }


@pytest.mark.parametrize(
    ("error", "label"),
    [(ErrorType.OVERLOADED, "overloaded"), (ErrorType.NONE, "upstream_error")],
)
def test_a_failed_call_has_its_error_in_the_conventions_metrics(counted, error, label):
    counted.meters.apply(
        OPEN, CLOSE, change(END, outcome=Outcome.UPSTREAM_ERROR, error_type=error)
    )
    assert ("chat", "openai", "gpt-5", label) in counted[
        "gen_ai_client_operation_duration_seconds"
    ]


def test_a_crashed_exchange_is_an_attempt_without_times(counted):
    counted.meters.apply(
        OPEN, None, change(END, outcome=Outcome.PROXY_CRASHED, overhead_us=None)
    )
    assert counted["tacho_attempts_total"] == {
        (*WHO, "openai", "gpt-5", "llm", "proxy_crashed"): 1
    }
    assert counted["tacho_attempt_duration_seconds"] == {}
    assert counted["tacho_overhead_seconds"] == {}
    assert counted["tacho_unmetered_total"] == {}


def test_overhead_known_at_close_counts_when_the_end_says_none(counted):
    counted.meters.apply(
        OPEN, change(CLOSE, overhead_us=300), change(END, overhead_us=None)
    )
    assert counted["tacho_overhead_seconds"] == {(): 0.0003}


def test_a_retry_is_no_further_step(counted):
    counted.meters.apply(change(OPEN, attempt=1, retry_layer="sdk"), CLOSE, END)
    assert counted["tacho_steps_total"] == {}
    assert counted["tacho_retries_total"] == {(*WHO, "openai", "sdk"): 1}


def test_a_stream_that_waits_for_messages_is_nobodys_latency(counted):
    waiting = {"dialect": "mcp", "operation": "sse_stream", "is_step": False}
    counted.meters.apply(msgspec.structs.replace(OPEN, **waiting), CLOSE, END)
    assert counted["tacho_attempt_duration_seconds"] == {}


@pytest.mark.parametrize("outcome", Outcome)
def test_a_websocket_is_unmetered_however_it_ends(counted, outcome):
    close = Close("a1", 2, outcome, http_status=101)
    counted.meters.apply(OPEN, close, End("a1", 3, outcome))
    assert counted["tacho_unmetered_total"] == {("openai", "chat"): 1}


def test_what_is_not_work_is_no_step(counted):
    counted.meters.apply(change(OPEN, is_step=False), CLOSE, END)
    assert counted["tacho_steps_total"] == {}
    assert counted["tacho_step_duration_seconds"] == {}
    assert counted["tacho_attempt_duration_seconds"] == {("openai", "gpt-5"): 1.5}


def test_models_billed_inside_an_answer_are_counted_under_their_own_name(counted):
    part = PartUsage(
        "gpt-5-mini", Usage(output=7), Cost(CostSource.COMPUTED, output=10**12)
    )
    counted.meters.apply(OPEN, change(CLOSE, parts=(part,)), END)
    assert counted["tacho_tokens_total"][(*WHO, "gpt-5-mini", "output")] == 7
    assert counted["tacho_cost_usd_total"][(*WHO, "gpt-5-mini")] == 1.0


def test_a_model_that_is_not_listed_is_other_and_none_stays_empty(counted):
    counted.meters.apply(
        change(OPEN, model_requested="mine"), change(CLOSE, model_served=""), END
    )
    counted.meters.apply(
        change(OPEN, model_requested="", kind=Kind.TOOL),
        change(CLOSE, model_served=""),
        END,
    )
    assert set(counted["tacho_attempt_duration_seconds"]) == {
        ("openai", "other"),
        ("openai", ""),
    }


def test_names_beyond_the_cap_share_one_series():
    counted = Counted(max_names=2)
    for number in range(5):
        counted.meters.apply(change(OPEN, agent=f"bot-{number % 4}"), CLOSE, END)
    assert set(counted["tacho_steps_total"]) == {
        ("acme", "bot-0", "llm"),
        ("acme", "bot-1", "llm"),
        ("other", "other", "llm"),
    }
    assert counted["tacho_steps_total"]["acme", "bot-0", "llm"] == 2


@pytest.mark.parametrize(
    ("source", "outcome", "reason"),
    [
        (UsageSource.PARTIAL, Outcome.UPSTREAM_ABORT, "cut"),
        (UsageSource.ESTIMATED, Outcome.COMPLETED, "no_usage"),
        (UsageSource.ESTIMATED, Outcome.CLIENT_ABORT, "client_abort"),
    ],
)
def test_estimates_are_counted_with_their_reason(counted, source, outcome, reason):
    counted.meters.apply(
        OPEN, change(CLOSE, usage_source=source), change(END, outcome=outcome)
    )
    assert counted["tacho_usage_estimated_total"] == {("openai", reason): 1}
    assert counted["gen_ai_client_token_usage"] == {}


@pytest.mark.parametrize(
    ("fields", "outcome", "counts"),
    [
        pytest.param({}, Outcome.COMPLETED, True, id="completed LLM call"),
        pytest.param({"is_step": False}, Outcome.COMPLETED, False, id="count_tokens"),
        pytest.param({"kind": Kind.TOOL}, Outcome.COMPLETED, False, id="tool"),
        pytest.param({}, Outcome.REJECTED, False, id="refused by the upstream"),
    ],
)
def test_llm_calls_without_any_tokens_are_unmetered(counted, fields, outcome, counts):
    close = change(CLOSE, usage=Usage(), usage_source=UsageSource.NONE, cost=Cost())
    counted.meters.apply(change(OPEN, **fields), close, change(END, outcome=outcome))
    assert counted["tacho_unmetered_total"] == (
        {("openai", "chat"): 1} if counts else {}
    )
    assert counted["tacho_unpriced_total"] == {}


@pytest.mark.parametrize("source", [CostSource.ASSUMED, CostSource.UNPRICED])
def test_a_cost_that_no_table_gave_is_unpriced(counted, source):
    counted.meters.apply(OPEN, change(CLOSE, cost=Cost(source)), END)
    assert counted["tacho_unpriced_total"] == {("gpt-5",): 1}


def test_calls_under_way_go_up_and_down(counted):
    counted.meters.begin("openai")
    counted.meters.begin("openai")
    counted.meters.finish("openai")
    assert counted["tacho_inflight"] == {("openai",): 1}


def test_events_are_counted_by_type(counted):
    counted.meters.event(Event("e", 1, "gap", tenant="acme", agent="bot"))
    assert counted["tacho_events_total"] == {(*WHO, "gap"): 1}


def test_totals_of_the_spool_become_increments(counted):
    counted.meters.note_spool(10, {"disk_full": 2})
    counted.meters.note_spool(20, {"disk_full": 5})
    counted.meters.drop("disk_full")
    assert counted["tacho_spool_bytes"] == {(): 20}
    assert counted["tacho_dropped_total"] == {("disk_full",): 6}


def test_the_loop_and_the_reload_are_told(counted):
    assert counted["tacho_config_reload_success"] == {(): 1}
    counted.meters.note_reload(succeeded=False)
    counted.meters.note_loop_lag(2_000)
    assert counted["tacho_config_reload_success"] == {(): 0}
    assert counted.count("tacho_loop_lag_seconds", ()) == 1


def test_a_hundred_thousand_names_stay_under_the_cap():
    registry = Registry(max_series=5_000)
    meters = ExchangeMeters(registry, frozenset(f"model-{n}" for n in range(300)))
    for number in range(20_000):
        opened = change(
            OPEN,
            agent=f"bot-{number}",
            route=f"r{number % 7}",
            model_requested=f"model-{number % 300}",
        )
        meters.apply(opened, change(CLOSE, model_served=""), END)
    exposed = sum(
        len(sample.buckets) + 2 if sample.buckets else 1
        for family in registry.families()
        for sample in family.samples
    )
    assert exposed <= 5_000
    attempts = next(f for f in registry.families() if f.name == "tacho_attempts_total")
    assert sum(sample.value for sample in attempts.samples) == 20_000


def test_what_is_left_of_limits_is_what_was_shown_last(counted):
    counted.meters.show_headroom([Gauge("openai", "gpt-5", "requests", 0.25), Gauge("openai", "gpt-5", "tokens", 1.0)])  # fmt: skip
    counted.meters.show_headroom([Gauge("openai", "gpt-5", "tokens", 0.5)])
    assert counted["tacho_ratelimit_remaining_ratio"] == {
        ("openai", "gpt-5", "tokens"): 0.5
    }


def test_of_accounts_that_share_a_budget_s_labels_the_fullest_is_shown(counted):
    shares = [("bot", 0.4, 1), ("bot", 1.2, 2), ("bot", 0.7, 3), ("", 0.1, 4)]
    counted.meters.show_budgets(
        (Account("acme", agent, "daily", key, 10, 99), share)
        for agent, share, key in shares
    )
    assert counted["tacho_budget_used_ratio"] == {
        ("acme", "bot", "daily"): 1.2,
        ("acme", "", "daily"): 0.1,
    }
    counted.meters.show_budgets([])
    assert counted["tacho_budget_used_ratio"] == {}
