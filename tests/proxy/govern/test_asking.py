"""What policies read of a call, put together."""

from msgspec.structs import replace

from proxy.govern.asking import MOST_OUTPUT_TOKENS, Asking, Placed, Quote, case_of
from proxy.govern.said import Said
from proxy.judge.expected import Expected, Price
from proxy.model import Ask, Kind
from tests.helpers.judging import NOW_US

ASK = Ask("openai_chat", "chat", Kind.LLM, is_step=True, model="m", max_output_tokens=2000)  # fmt: skip
QUOTE = Quote(100, Price(7, 1000), 8000)


def asking(ask: Ask = ASK) -> Asking:
    return Asking("acme", "writer", "c", "openai", "openai", "https://o", ask, 5)


def test_a_case_has_all_that_is_known():
    placed, said = Placed("r", 3, "s", True), Said(9, (1,), ("f",), (2,), (2,))
    case = case_of(asking(), placed, QUOTE, said, Expected(), NOW_US)
    assert (case.run_id, case.turn_seq, case.session_id, case.is_retry) == ("r", 3, "s", True)  # fmt: skip
    assert (case.body, case.calls, case.tools, case.results, case.errors) == (9, (1,), ("f",), (2,), (2,))  # fmt: skip
    assert (case.expected_nano, case.worst_nano, case.expected_tokens) == (2007, 2007, 2100)  # fmt: skip
    assert (case.input_tokens, case.window_tokens, case.max_output_tokens) == (100, 8000, 2000)  # fmt: skip


def test_without_a_limit_a_call_may_write_what_its_window_holds_at_most():
    free = asking(replace(ASK, max_output_tokens=None))
    assert case_of(free, Placed(), QUOTE, Said(), Expected(), 0).worst_nano == 8007
    unknown = case_of(free, Placed(), replace(QUOTE, window_tokens=None), Said(), Expected(), 0)  # fmt: skip
    assert unknown.worst_nano == MOST_OUTPUT_TOKENS + 7
    assert unknown.max_output_tokens is None


def test_what_is_no_model_s_answer_writes_nothing():
    case = case_of(asking(replace(ASK, kind=Kind.EMBEDDING)), Placed(), QUOTE, Said(), Expected(), 0)  # fmt: skip
    assert (case.worst_nano, case.expected_tokens) == (7, 100)
