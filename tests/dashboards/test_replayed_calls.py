"""`replayed_calls.sql` on the embedded store: the calls that a replay needs, in their order, as a reading of the rows apart from SQL has them."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from exporters.enrich.columns import StepRow
from exporters.enrich.rows import encode_rows
from proxy.cli.whatif_calls import MINUTE_US, Minute
from proxy.replay.rows import FORMAT, Call, Lines, Row
from tests.helpers.replayed import calls_of, rows_of
from tests.helpers.store import StoreProcess, open_store

QUERIES = Path(__file__).parents[2] / "dashboards" / "queries"
QUERY, MINUTES = QUERIES / "replayed_calls.sql", QUERIES / "replayed_minutes.sql"
EVER = {"tenant": "", "since_us": "0", "history_us": "0"}
PIECE = {"from_us": "0", "until_us": "9000000000000000"}
NOW = datetime.now(UTC)
HOUR = 3600.0


def at(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%d %H:%M:%S.%f")


def us(seconds_ago: float) -> str:
    return str(round((NOW - timedelta(seconds=seconds_ago)).timestamp() * 1_000_000))


def step(name: str, seconds_ago: float, **changes: object) -> StepRow:
    row = StepRow(
        attempt_id=name, step_id=name, tenant="acme", agent="booker", agent_source="path", caller="c1", ts=at(seconds_ago),
        closed_at=at(seconds_ago - 1), kind="llm", is_step=True, route="openai", provider="openai", operation="chat",
        model_requested="gpt-1", outcome="completed", usage_source="provider", tok_input=6, tok_cache_read=4, tok_output=5,
        tok_reasoning=2, cost_usd="0.500000000001", cost_output_usd="0.200000000000", cost_reasoning_usd="0.100000000000",
        rate_input="0.000002500000", ctx_window=128_000, turn_seq=2, step_seq=3, call_id=("x", "y"), call_tool=("look", "go"),
        call_args_hash=(2**64 - 1, 7),
    )  # fmt: skip
    return msgspec.structs.replace(row, **changes)


def steps() -> list[StepRow]:
    in_root = {"root_run_id": "R", "run_id": "R"}
    in_session = {"session_id": "S", "root_run_id": "Q", "run_id": "Q"}
    whole = step("recent", 60, **in_root)
    part = msgspec.structs.replace(whole, part=1, is_step=False, call_id=(), call_tool=(), call_args_hash=(), cost_usd="0.250000000000")  # fmt: skip
    return [
        whole,
        part,
        step("of the same root", 5 * HOUR, **in_root, turn_seq=None, step_seq=None, ctx_window=None),
        step("of its child", 4 * HOUR, root_run_id="R", parent_run_id="R", run_id="K", attempt=1),
        step("in a session", 120, session_id="S"),
        step("of the same session", 6 * HOUR, **in_session),
        step("same names elsewhere", 6 * HOUR, tenant="other", **in_root, session_id="S"),
        step("long ago", 7 * HOUR, root_run_id="O", run_id="O"),
        step("between", 2 * HOUR, root_run_id="P", run_id="P", tok_input=None, tok_output=None, cost_usd=None, rate_input=None),
        step("elsewhere", 30, tenant="other", outcome="blocked", verdict_action="block", is_step=False, kind="other"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """Give a store of its own: it has other rows than the other tests'."""
    running = open_store(tmp_path_factory.mktemp("store"))
    rows = steps()
    random.Random(7).shuffle(rows)
    body = b"INSERT INTO steps FORMAT JSONEachRow\n" + encode_rows(rows)
    assert running.write(body).status == 200
    yield running
    running.end()


def as_given(parameters: dict[str, str]) -> dict[str, str]:
    return {f"param_{name}": value for name, value in parameters.items()}


def asked(store: StoreProcess, **parameters: str) -> list[Call]:
    answer = store.ask(QUERY.read_text(), default_format=FORMAT, **as_given({**EVER, **PIECE, **parameters}))  # fmt: skip
    assert answer.status == 200, answer.text
    found: list[Call] = []
    lines = Lines(found.append)
    for begin in range(0, len(answer.body), 7):
        lines.write(answer.body[begin : begin + 7])
    lines.flush_call()
    return found


def expected(*names: str) -> list[Call]:
    return calls_of(rows_of(each for each in steps() if each.attempt_id in names))


def test_since_ever_they_are_all_calls_with_their_parts_in_order(filled: StoreProcess):
    found = asked(filled)
    assert found == expected(*(each.attempt_id for each in steps()))
    (recent,) = [each for each in found if each.row.attempt_id == "recent"]
    assert (recent.pico, recent.tokens) == (750_000_000_001, 34)


def test_roots_and_sessions_that_go_on_are_whole(filled: StoreProcess):
    found = asked(filled, since_us=us(HOUR), history_us=us(HOUR))
    kept = ("recent", "of the same root", "of its child", "in a session", "of the same session", "elsewhere")  # fmt: skip
    assert found == expected(*kept)


def test_what_periods_need_comes_from_further_back(filled: StoreProcess):
    found = asked(filled, since_us=us(HOUR), history_us=us(3 * HOUR))
    assert "between" in [each.row.attempt_id for each in found]


def test_a_tenant_is_alone(filled: StoreProcess):
    found = asked(filled, tenant="other", since_us=us(HOUR), history_us=us(HOUR))
    assert [each.row.attempt_id for each in found] == ["elsewhere"]


def test_the_columns_are_those_that_are_read(filled: StoreProcess):
    answer = filled.ask(QUERY.read_text(), default_format="JSONCompactEachRowWithNames", **as_given({**EVER, **PIECE}))  # fmt: skip
    names = msgspec.json.decode(answer.body.splitlines()[0])
    assert names == [*Row.__struct_fields__]


def test_pieces_are_the_whole(filled: StoreProcess):
    cut = us(3 * HOUR)
    begin, end = asked(filled, until_us=cut), asked(filled, from_us=cut)
    assert begin
    assert end
    assert begin + end == asked(filled)


@pytest.mark.parametrize("parameters", [{}, {"tenant": "acme"}, {"since_us": us(HOUR), "history_us": us(3 * HOUR)}], ids=["ever", "tenant", "since"])  # fmt: skip
def test_minutes_are_those_of_the_same_lines(
    parameters: dict[str, str], filled: StoreProcess
):
    answer = filled.ask(MINUTES.read_text(), default_format="JSONEachRow", **as_given({**EVER, **parameters}))  # fmt: skip
    assert answer.status == 200, answer.text
    said = [msgspec.json.decode(line, type=Minute, strict=False) for line in answer.body.splitlines()]  # fmt: skip
    lines: Counter[int] = Counter()
    for call in asked(filled, **parameters):
        minute_us = call.row.began_us // MINUTE_US * MINUTE_US
        lines[minute_us] += 2 if call.row.attempt_id == "recent" else 1
    assert [(each.minute_us, each.calls) for each in said] == sorted(lines.items())
    assert len(lines) > 2


def test_both_have_the_same_conditions():
    def conditions(path: Path) -> list[str]:
        text = path.read_text()
        kept = text[text.index("\nWITH") :].replace("\nGROUP BY", "\nORDER BY")
        head, rest = kept.partition("\nSELECT")[::2]
        return [head, rest[rest.index("    AND ({tenant") : rest.index("\nORDER BY")]]

    assert conditions(QUERY) == conditions(MINUTES)
