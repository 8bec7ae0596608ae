"""Which of several verdicts counts. What findings mean is shown by test_bench.py, through the policies."""

from proxy.judge.findings import first_of
from proxy.judge.verdict import Action, Reason, Verdict


def test_what_stopped_an_answer_weighs_more_than_what_would_have():
    def said(action: Action, *, is_final: bool = True) -> Verdict:
        return Verdict(action, action, Reason.STEPS, "", "run", "1", "1", is_final=is_final)  # fmt: skip

    every = [said(each) for each in (Action.WARN, Action.WOULD_BLOCK, Action.REPAIRED, Action.BLOCK)]  # fmt: skip
    while every:
        found = first_of(every)
        assert found is not None
        assert found.action is every.pop().action
