"""Which run is meant."""

import pytest

from proxy.identify.facts import Run
from proxy.state.finding import Finding


def run_of(run_id: str, tenant: str = "t", session: str = "") -> Run:
    return Run(tenant, run_id, run_id, session_id=session)


RUNS = [run_of("ab"), run_of("abc", session="s1"), run_of("abd", "u", "s1"), run_of("x", session="ab")]  # fmt: skip


@pytest.mark.parametrize(
    ("finding", "found"),
    [
        (Finding("ab"), ["ab"]),
        (Finding("abc"), ["abc"]),
        (Finding("a"), ["ab", "abc", "abd"]),
        (Finding("a", "u"), ["abd"]),
        (Finding("b"), []),
        (Finding("s1"), []),
        (Finding("s1", of_session=True), ["abc", "abd"]),
        (Finding("s1", "t", of_session=True), ["abc"]),
        (Finding("ab", of_session=True), ["ab"]),  # a run's own name comes first
        (Finding("s", of_session=True), []),  # no beginning of a session's
    ],
)
def test_a_whole_name_comes_before_its_beginning(finding: Finding, found: list[str]):
    assert [each.run_id for each in finding.best(RUNS)] == found
