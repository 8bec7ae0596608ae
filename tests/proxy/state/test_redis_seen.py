from proxy.identify.facts import Run
from proxy.state.redis_seen import Seen
from proxy.state.totals import NOTHING, Totals


def run_of(run_id: str, now_us: int) -> Run:
    return Run("t", run_id, run_id, seen_us=now_us)


def test_the_runs_are_known_that_were_seen_last():
    seen = Seen(2)
    for now, run_id in enumerate("abac"):
        seen.saw(run_of(run_id, now), Totals(now))
    assert [run.run_id for run in seen.runs()] == ["a", "c"]
    assert seen.get(("t", "a")) == (run_of("a", 2), Totals(2))
    assert seen.get(("t", "b")) == (None, NOTHING)
    seen.forget(2)
    assert [run.run_id for run in seen.runs()] == ["c"]
    seen.end(("t", "c"))
    seen.end(("t", "unknown"))
    seen.forget(9)
    assert list(seen.runs()) == []
