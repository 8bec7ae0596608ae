import re

import pytest

from proxy.telemetry import specs
from proxy.telemetry.registry import Spec

SPECS = [value for value in vars(specs).values() if isinstance(value, Spec)]
NEVER_LABELS = {
    "run_id",
    "session_id",
    "step_id",
    "prompt",
    "url",
    "path",
    "caller",
    "tool",
}


@pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
def test_names_and_labels_are_those_of_prometheus(spec):
    names = (spec.name, *spec.label_names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert not NEVER_LABELS & set(spec.label_names)
    assert list(spec.bounds) == sorted(spec.bounds)


def test_the_conventions_buckets_reach_as_far_as_they_say():
    assert specs.GEN_AI_COUNTS[:3] == (1, 4, 16)
    assert specs.GEN_AI_COUNTS[-1] == 67108864
    assert specs.GEN_AI_SECONDS[13] == pytest.approx(81.92)
    assert specs.GEN_AI_SECONDS[-1] == pytest.approx(655.36)
