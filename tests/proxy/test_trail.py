"""What a call leaves behind."""

import pytest

from proxy.identify.conversation import TEXT_BYTES
from proxy.model import ErrorType, Kind, Outcome, Reading, ToolCall
from proxy.record.codec import Memo, decode
from proxy.state import memo
from proxy.state.memory import MemoryState
from proxy.trail import Trail, state_of
from tests.helpers.runs.tracking import DAY_US, Tracker

BODY = b'{"messages":[{"role":"user","content":"Hello."}]}'
ANSWER = "A sentence that is long enough to be known again when it is quoted."


class Bench:
    def __init__(self, body: bytes = BODY) -> None:
        self.tracker = Tracker(MemoryState(10, DAY_US))
        self.begun = self.tracker.begin(BODY, 5, kind=Kind.LLM)
        run, call = self.begun.run, self.begun.call
        assert run is not None
        noted = self.tracker.log[0][1]
        self.trail = Trail(77, self.tracker.state, call, run, noted, body)

    def answered(self, outcome: Outcome = Outcome.COMPLETED, **reading: object) -> tuple[bytes, ...]:  # fmt: skip
        return self.trail.answered(outcome, ErrorType.NONE, Reading(**reading), 9)  # type: ignore[arg-type]

    def goes_on(self, answer: object) -> bool:
        messages = BODY[:-2].decode() + f',{answer},{{"role":"user","content":"Go on."}}]}}'  # fmt: skip
        later = self.tracker.begin(messages.encode(), 11, kind=Kind.LLM)
        assert later.run
        assert self.begun.run
        return later.run.run_id == self.begun.run.run_id


def test_the_next_call_is_known_by_the_answers_text():
    bench = Bench()
    bench.answered(output_text="Good day.")
    assert bench.goes_on('{"role":"assistant","content":"Good day."}')


def test_the_next_call_is_known_by_the_tool_call_that_it_answers():
    bench = Bench()
    bench.answered(tool_calls=(ToolCall("call_a1B2c3D4", "f", b'{"q": 1}'),))
    assert bench.goes_on(
        '{"role":"assistant","content":null,"tool_calls":[{"id":"call_a1B2c3D4","type":"function",'
        '"function":{"name":"f","arguments":"{\\"q\\":1}"}}]},{"role":"tool","tool_call_id":"call_a1B2c3D4","content":"x"}'
    )


def test_what_was_told_once_is_not_told_again_and_the_end_may_correct_it():
    bench = Bench()
    assert len(bench.answered()) == 1
    assert bench.answered() == ()
    assert len(bench.answered(Outcome.CLIENT_ABORT)) == 1


def test_its_records_teach_a_successor_the_same():
    bench = Bench()
    records = [*bench.trail.begun, *bench.answered(output_text=ANSWER)]
    heir = MemoryState(10, DAY_US)
    for each in records:
        record = decode(each)
        assert isinstance(record, Memo)
        memo.replay(heir, record.said)
    bench.tracker.state = heir
    assert bench.goes_on(f'{{"role":"assistant","content":"{ANSWER}"}}')


@pytest.mark.parametrize(
    ("body", "is_known"), [(BODY, True), (b" " * (TEXT_BYTES + 1), False)], ids=["small", "large"]
)  # fmt: skip
def test_an_answer_to_a_small_request_is_known_where_it_is_quoted(body, is_known):
    bench = Bench(body)
    bench.answered(output_text=ANSWER)
    quoted = f'{{"messages":[{{"role":"user","content":"Translate: {ANSWER}"}}]}}'
    later = bench.tracker.begin(quoted.encode(), 11, kind=Kind.LLM)
    assert later.run
    assert bench.begun.run
    assert (later.run.run_id == bench.begun.run.run_id) is is_known


@pytest.mark.parametrize(
    ("outcome", "error_type", "state"),
    [
        (Outcome.COMPLETED, ErrorType.NONE, "done"),
        (Outcome.BLOCKED, ErrorType.NONE, "blocked"),
        (Outcome.REJECTED, ErrorType.AUTH, "rejected"),
        (Outcome.REJECTED, ErrorType.QUOTA, "rejected"),
        (Outcome.REJECTED, ErrorType.RATE_LIMITED, "failed"),
        (Outcome.UPSTREAM_ERROR, ErrorType.SERVER_ERROR, "failed"),
        (Outcome.CLIENT_ABORT, ErrorType.NONE, "failed"),
        (Outcome.TIMEOUT, ErrorType.IDLE_TIMEOUT, "failed"),
    ],
)
def test_how_a_call_ended_in_the_words_of_the_memory(outcome, error_type, state):
    assert state_of(outcome, error_type) == state


@pytest.mark.parametrize("is_heir", [False, True])
def test_the_next_attempt_that_the_proxy_makes_is_what_the_run_remembers(is_heir):
    bench = Bench()
    again = bench.trail.again(7)
    bench.answered(Outcome.UPSTREAM_ERROR)  # too late: another attempt is newer
    records = [*bench.trail.begun, *again.begun, *again.answered(Outcome.COMPLETED, ErrorType.NONE, Reading(output_text="Good day."), 9)]  # fmt: skip
    assert len(records) == 3
    if is_heir:
        bench.tracker.state = MemoryState(10, DAY_US)
        for each in records:
            record = decode(each)
            assert isinstance(record, Memo)
            memo.replay(bench.tracker.state, record.said)
    assert bench.goes_on('{"role":"assistant","content":"Good day."}')


def test_a_retry_of_the_agent_counts_on_from_the_proxys():
    bench = Bench()
    again = bench.trail.again(7)
    again.answered(Outcome.UPSTREAM_ERROR, ErrorType.SERVER_ERROR, Reading(), 9)
    later = bench.tracker.begin(BODY, 11, kind=Kind.LLM)
    assert later.call.asked.attempt == 2
    assert later.call.asked.step_id == bench.begun.call.asked.step_id
