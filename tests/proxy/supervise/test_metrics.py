"""The page of metrics: all processes, both formats, and what is known of silent ones."""

from dataclasses import dataclass, field
from typing import cast

import msgspec

from proxy.control_client import ControlClient, UnreachableError
from proxy.supervise.children import ChildProcess
from proxy.supervise.metrics import MetricsOfAll
from proxy.supervise.spec import State
from proxy.telemetry import Family, Sample


@dataclass
class Child:
    """As much of a `ChildProcess` as metrics look at."""

    name: str
    state: State = State.RUNNING
    answers: bool = True
    pid: int | None = None
    restarts: int = 2


@dataclass
class Client:
    """Gives families, or nothing at all."""

    families: list[Family] = field(default_factory=list)
    silent: bool = False
    nonsense: bool = False

    async def metrics(self, timeout_seconds: float) -> bytes:
        assert timeout_seconds <= 1.0
        if self.silent:
            raise UnreachableError("silent")
        return b"\xc1" if self.nonsense else msgspec.msgpack.encode(self.families)


FAMILIES = [
    Family(
        "tacho_steps_total", "counter", "Steps.", ("kind",), (Sample(("llm",), 3.0),)
    ),
    Family(
        "tacho_inflight", "gauge", "Calls.", ("route",), (Sample(("openai",), 2.0),)
    ),
    Family("tacho_spool_bytes", "gauge", "Spool.", (), (Sample((), 70.0),)),
    Family(
        "tacho_dropped_total",
        "counter",
        "Drops.",
        ("reason",),
        (Sample(("disk",), 4.0),),
    ),
    Family(
        "tacho_export_lag_seconds",
        "gauge",
        "Lag.",
        ("exporter",),
        (Sample(("jsonl",), 1.5),),
        combine="max",
    ),
    Family(
        "tacho_ttft_seconds",
        "histogram",
        "First token.",
        ("route",),
        (Sample(("t",), 2.5, (1, 2)),),
        (1.0,),
    ),
]


def make(child: Child, client: Client, reloaded: bool = True) -> MetricsOfAll:
    return MetricsOfAll(
        [cast("ChildProcess", child)],
        {child.name: cast("ControlClient", client)},
        lambda: reloaded,
    )


async def test_the_text_format_is_the_default():
    body, content_type = await make(Child("w0"), Client(FAMILIES)).exposition("")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    lines = body.decode().splitlines()
    assert 'tacho_steps_total{kind="llm"} 3.0' in lines
    assert "# TYPE tacho_steps_total counter" in lines
    assert 'tacho_ttft_seconds_bucket{le="1.0",route="t"} 1.0' in lines
    assert 'tacho_ttft_seconds_bucket{le="+Inf",route="t"} 2.0' in lines
    assert 'tacho_ttft_seconds_count{route="t"} 2.0' in lines
    assert 'tacho_ttft_seconds_sum{route="t"} 2.5' in lines
    assert 'tacho_process_restarts_total{process="w0"} 2.0' in lines
    assert "tacho_config_reload_success 1.0" in lines
    assert any(
        line.startswith('tacho_process_resident_bytes{process="supervisor"}')
        for line in lines
    )


async def test_openmetrics_is_given_to_who_accepts_it():
    body, content_type = await make(Child("w0"), Client(FAMILIES)).exposition(
        "application/openmetrics-text"
    )
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


async def test_a_silent_child_keeps_its_counters_and_loses_its_gauges():
    child, client = Child("w0"), Client(FAMILIES)
    metrics = make(child, client)
    await metrics.families()
    for child.answers, client.silent, client.nonsense in (
        (False, False, False),
        (True, True, False),
        (True, False, True),
    ):
        names = {family.name for family in await metrics.families()}
        assert {"tacho_steps_total", "tacho_ttft_seconds"} <= names
        assert "tacho_inflight" not in names
    child.state = State.BACKING_OFF
    assert "tacho_steps_total" in {family.name for family in await metrics.families()}


async def test_the_figures_of_status_come_from_the_same_families():
    assert await make(Child("w0"), Client(FAMILIES)).totals() == {
        "inflight": 2.0,
        "spool_bytes": 70.0,
        "export_lag_seconds": 1.5,
        "dropped": {"disk": 4.0},
    }


async def test_nothing_known_is_not_zero_lag():
    totals = await make(Child("w0", State.STARTING), Client()).totals()
    assert totals == {
        "inflight": 0,
        "spool_bytes": 0,
        "export_lag_seconds": None,
        "dropped": {},
    }


def test_the_supervisors_own_families_travel_like_others():
    body = make(Child("w0"), Client(), reloaded=False).own_bytes()
    families = msgspec.msgpack.decode(body, type=list[Family])
    assert families[0].name == "tacho_config_reload_success"
    assert families[0].samples[0].value == 0.0
