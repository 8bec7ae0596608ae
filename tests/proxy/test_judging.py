"""The policies' side of one exchange: what stands in its record, in its answer's headers, and what its end passes on."""

from pathlib import Path
from typing import Any

import pytest

from proxy.desk import Desk
from proxy.govern.tab import Tab
from proxy.judge.refusals import Asker
from proxy.judge.verdict import Action, Reason, Verdict
from proxy.judging import Judging
from proxy.model import Outcome, Reading
from proxy.record.codec import Open
from proxy.record.exchange import Exchange
from tests.helpers.pipelines import Told, make_desk, make_spool
from tests.helpers.spooled import make_close, make_open

BLOCK = Verdict(Action.BLOCK, "caps", Reason.STEPS, "story", "run", "20", "20")
WARN = Verdict(Action.WARN, "caps", Reason.STEPS, "story", "run", "16", "20")


class Fake(Tab):
    """A tab that says what it is told to say."""

    def __init__(self, verdict: Verdict | None) -> None:
        self.verdict = verdict
        self._answer = None
        self.told: list[Any] = []

    def begun(self) -> tuple[bytes, ...]:
        return (b"begun",)

    def note(self, opened: Open) -> str:
        return f"told of {opened.step_id}"

    def noted(self, opened: Open) -> None:
        self.told.append(opened.step_id)

    def alive(self) -> None:
        self.told.append("alive")

    def over(self, *what: Any, **more: Any) -> tuple[bytes, ...]:
        self.told.append((what[2], more["is_known"]))
        return (b"over",)


@pytest.fixture
def desk(tmp_path: Path):
    spool = make_spool(tmp_path)
    yield make_desk(spool, Told())
    spool.close()


def judging(desk: Desk, verdict: Verdict | None) -> tuple[Judging, Fake]:
    tab = Fake(verdict)
    return Judging(desk, Exchange(make_open("a1"), 0.0), tab), tab


def asker() -> Asker:
    return Asker("openai_chat", "openai")


def test_a_refusal_is_noted_and_has_the_family_s_shape(desk):
    found, _ = judging(desk, BLOCK)
    blocked = found.judge(asker)
    assert blocked is not None
    assert (blocked.error_type, str(blocked), blocked.answer.status) == ("invalid_request", "story", 400)  # fmt: skip
    assert found.refusal is blocked.answer
    assert found._exchange.verdict == ("caps", "block", "step_limit")
    assert found.begun() == (b"begun",)


def test_a_warning_is_noted_and_stands_in_the_answer(desk):
    found, _ = judging(desk, WARN)
    assert found.judge(asker) is None
    assert found._exchange.verdict == ("caps", "warn", "step_limit")
    assert found.headers() == [(b"x-tacho-verdict", b"warn;policy=caps;reason=step_limit")]  # fmt: skip


def test_where_nobody_has_anything_to_say_nothing_is_noted(desk):
    found, _ = judging(desk, None)
    assert found.judge(asker) is None
    assert (found.headers(), found._exchange.verdict) == ([], ("", "", ""))


def test_the_first_piece_of_an_answer_that_is_no_error_is_a_sign_of_life_once(desk):
    found, tab = judging(desk, None)
    found._exchange.http_status = 200
    found.passed()
    found.passed()
    assert tab.told == ["alive"]
    broken, silent = judging(desk, None)
    broken._exchange.http_status = 500
    broken.passed()
    assert silent.told == []


@pytest.mark.parametrize(("first_byte_at", "status"), [(None, None), (1.0, 502)])
def test_an_end_has_the_upstream_s_status_and_none_of_ours(desk, first_byte_at, status):
    found, tab = judging(desk, None)
    found._exchange.http_status = 502
    found._exchange.measures.first_byte_at = first_byte_at
    close = make_close("a1", outcome=Outcome.UPSTREAM_ERROR)
    assert found.over(close, Reading(), b"", is_known=True) == (b"over",)
    assert tab.told == [(status, True)]


def test_without_a_tab_nothing_limits(desk):
    found = Judging(desk, Exchange(make_open("a1"), 0.0), None)
    found.passed()
    assert (found.judge(asker), found.begun(), found.headers()) == (None, (), [])
    assert found.over(make_close("a1"), Reading(), b"", is_known=True) == ()


def test_what_the_model_is_told_stands_in_the_record(desk):
    found, tab = judging(desk, WARN)
    assert found.note() == "told of step-a1"
    found.noted()
    assert found._exchange.altered == ["note_added"]
    assert tab.told == ["step-a1"]
    nobody = Judging(desk, Exchange(make_open("a1"), 0.0), None)
    assert nobody.note() == ""
    nobody.noted()
