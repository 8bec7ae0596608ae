"""The families that a proxy worker fills: names, labels, bounds. A contract with dashboards, alerts and users."""

from proxy.model import PICO_PER_USD
from proxy.telemetry.registry import Spec

_MICROS = 1_000_000
_WHO = ("tenant", "agent")
_OPEN = frozenset({"tenant", "agent", "model", "operation", "gen_ai_request_model"})

DURATIONS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
FIRST_TOKENS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
OWN_TIMES = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1,
)
GEN_AI_SECONDS = tuple(0.01 * 2**n for n in range(17))
"""The conventions' 0.01 to 81.92, and three more for long reasoning."""
GEN_AI_COUNTS = tuple(float(4**n) for n in range(14))

ATTEMPTS = Spec(
    "tacho_attempts_total",
    "Upstream exchanges and refusals.",
    (*_WHO, "route", "model", "kind", "outcome"),
    _OPEN,
)
STEPS = Spec(
    "tacho_steps_total",
    "Logical calls; their retries are not counted.",
    (*_WHO, "kind"),
    _OPEN,
)
RETRIES = Spec(
    "tacho_retries_total",
    "Attempts that repeat another, by who repeated it.",
    (*_WHO, "route", "retry_layer"),
    _OPEN,
)
COST = Spec(
    "tacho_cost_usd_total",
    "Money spent, in US dollars.",
    (*_WHO, "model"),
    _OPEN,
    divisor=PICO_PER_USD,
)
TOKENS = Spec(
    "tacho_tokens_total",
    "Tokens billed, by disjoint type.",
    (*_WHO, "model", "type"),
    _OPEN,
)
STEP_DURATION = Spec(
    "tacho_step_duration_seconds",
    "Duration of calls that are work.",
    ("agent", "kind"),
    _OPEN,
    _MICROS,
    DURATIONS,
)
ATTEMPT_DURATION = Spec(
    "tacho_attempt_duration_seconds",
    "From admission to the terminal event's arrival.",
    ("route", "model"),
    _OPEN,
    _MICROS,
    DURATIONS,
)
TTFT = Spec(
    "tacho_ttft_seconds",
    "From admission to the first output token.",
    ("route", "model"),
    _OPEN,
    _MICROS,
    FIRST_TOKENS,
)
INFLIGHT = Spec("tacho_inflight", "Calls under way.", ("route",))
OVERHEAD = Spec(
    "tacho_overhead_seconds",
    "What of a call's time was the proxy's.",
    divisor=_MICROS,
    bounds=OWN_TIMES,
)
LOOP_LAG = Spec(
    "tacho_loop_lag_seconds",
    "By how much the event loop was late.",
    divisor=_MICROS,
    bounds=OWN_TIMES,
)
UNPRICED = Spec(
    "tacho_unpriced_total",
    "Calls whose model is not in the price table.",
    ("model",),
    frozenset({"model"}),
)
USAGE_ESTIMATED = Spec(
    "tacho_usage_estimated_total",
    "Calls whose tokens are estimated, wholly or partly.",
    ("route", "reason"),
)
UNMETERED = Spec(
    "tacho_unmetered_total",
    "Completed LLM calls of which nobody knows the tokens.",
    ("route", "operation"),
    _OPEN,
)
SPOOL_BYTES = Spec("tacho_spool_bytes", "Size of the raw spool.", combine="max")
DROPPED = Spec(
    "tacho_dropped_total", "What was lost or left out, by reason.", ("reason",)
)
RATELIMIT = Spec(
    "tacho_ratelimit_remaining_ratio",
    "What the provider said within ten minutes is left of its limit; of several workers, the least.",
    ("route", "model", "type"),
    _OPEN,
    _MICROS,
    combine="min",
)
BUDGET_USED = Spec(
    "tacho_budget_used_ratio",
    "What of a budget is spent in its running period; of several accounts that share the labels, the fullest.",
    (*_WHO, "budget"),
    _OPEN,
    _MICROS,
    combine="max",
)
EVENTS = Spec("tacho_events_total", "Events.", (*_WHO, "type"), _OPEN)
VERDICTS = Spec(
    "tacho_verdicts_total",
    "What policies said of calls; warnings count once a run and threshold.",
    (*_WHO, "policy", "action"),
    _OPEN,
)
BREAKER_STATE = Spec(
    "tacho_breaker_state",
    "0: closed, 1: open, 2: half open.",
    ("route", "model"),
    _OPEN,
    combine="max",
)
RUNS = Spec(
    "tacho_runs_total",
    "Runs that have ended.",
    (*_WHO, "outcome"),
    _OPEN,
)
RUN_STEPS = Spec(
    "tacho_run_steps",
    "Steps of a run.",
    _WHO,
    _OPEN,
    bounds=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
RUN_COST = Spec(
    "tacho_run_cost_usd",
    "Cost of a run, in US dollars.",
    _WHO,
    _OPEN,
    PICO_PER_USD,
    (0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 50, 100),
)
RUN_DURATION = Spec(
    "tacho_run_duration_seconds",
    "From a run's first call to its last sign of life.",
    _WHO,
    _OPEN,
    _MICROS,
    (1, 10, 60, 300, 900, 1800, 3600, 14400, 86400),
)
LIVE_COST = Spec(
    "tacho_live_run_cost_usd_max",
    "What the costliest run that lives has cost, in US dollars.",
    _WHO,
    _OPEN,
    PICO_PER_USD,
    combine="max",
)
LIVE_STEPS = Spec(
    "tacho_live_run_steps_max",
    "Steps of the longest run that lives.",
    _WHO,
    _OPEN,
    combine="max",
)
CONFIG_RELOAD = Spec(
    "tacho_config_reload_success",
    "1 when the last reload of the settings was taken.",
    combine="min",
)
GEN_AI_TOKENS = Spec(
    "gen_ai_client_token_usage",
    "Tokens a call used, as the provider reported them.",
    (
        "gen_ai_operation_name",
        "gen_ai_provider_name",
        "gen_ai_request_model",
        "gen_ai_token_type",
    ),
    _OPEN,
    bounds=GEN_AI_COUNTS,
)
GEN_AI_DURATION = Spec(
    "gen_ai_client_operation_duration_seconds",
    "Duration of a call.",
    (
        "gen_ai_operation_name",
        "gen_ai_provider_name",
        "gen_ai_request_model",
        "error_type",
    ),
    _OPEN,
    _MICROS,
    GEN_AI_SECONDS,
)

GEN_AI_OPERATIONS = {
    "chat": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
"""Our operations in the conventions' words; others have no name there."""
GEN_AI_PROVIDERS = {
    "azure": "azure.ai.openai",
    "aws": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "x-ai": "x_ai",
}
"""Providers whose name in the conventions differs from the price table's."""
