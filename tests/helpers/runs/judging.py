"""How well runs were found: precision and recall over pairs of calls."""

from collections import Counter, defaultdict
from typing import Any

from tests.helpers.runs.generated import Made

Counts = dict[str, Counter[Any]]


def judge(found: list[tuple[Made, str, str]]) -> tuple[float, float, dict[str, tuple[float, float]]]:  # fmt: skip
    """Give precision and recall over pairs, and by kind; pairs are counted by groups."""
    both: Counts = defaultdict(Counter)
    made: Counts = defaultdict(Counter)
    real: Counts = defaultdict(Counter)
    for each, run_id, _ in found:
        # What quotes another run of the same job may be joined with it, but need not.
        truth = each.whole if each.kind in ("crew", "pipeline") else each.run
        must = each.whole if each.kind == "pipeline" else each.run
        both[each.kind][must, run_id] += 1
        made[each.kind][run_id] += 1
        real[each.kind][must] += 1
        both[f"{each.kind} may"][truth, run_id] += 1
    scores = {}
    total = [0, 0, 0, 0]
    for kind in real:
        pairs = [sum(n * (n - 1) // 2 for n in counts[kind].values()) for counts in (both, made, real)]  # fmt: skip
        allowed = sum(n * (n - 1) // 2 for n in both[f"{kind} may"].values())
        scores[kind] = (round(allowed / max(pairs[1], 1), 4), round(pairs[0] / max(pairs[2], 1), 4))  # fmt: skip
        total = [a + b for a, b in zip(total, [allowed, pairs[1], pairs[0], pairs[2]], strict=True)]  # fmt: skip
    # Runs of different kinds that were joined.
    kinds_of: Counts = defaultdict(Counter)
    for each, run_id, _ in found:
        kinds_of[run_id][each.kind] += 1
    mixed = sum(sum(c.values()) ** 2 - sum(n * n for n in c.values()) for c in kinds_of.values()) // 2  # fmt: skip
    return total[0] / (total[1] + mixed), total[2] / total[3], scores
