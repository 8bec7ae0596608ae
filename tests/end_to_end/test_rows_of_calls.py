"""From an SDK's call to a row: the whole product as a user runs it, asked as a user asks it.

What lives here: what rows say of a few calls. What does not: the calls (`tests/helpers/scene.py`), who else is told
(`test_rows_elsewhere.py`), crashes, bytes.
"""

import json

import pytest

from tests.helpers.replay import Tape
from tests.helpers.said import BUCKETS, said_buckets
from tests.helpers.scene import Scene

pytestmark = pytest.mark.timeout(300)


def test_a_call_becomes_a_row_though_no_other_follows(scene: Scene):
    """How soon is a measurement; what a row waits for on its way is checked in `tests/exporters/test_export.py`."""
    print(f"visible after {scene.visible_seconds:.2f} s")  # noqa: T201 - a measurement for who reads it
    assert len(scene.of_run("R1")) == 2


def test_tokens_are_the_providers_and_each_call_has_its_price(scene: Scene):
    first, second = scene.of_run("R1")
    (third,) = scene.of_run("R2")
    for row, tape in (
        (first, scene.chat),
        (second, scene.responses),
        (third, scene.messages),
    ):
        assert {bucket: row[f"tok_{bucket}"] for bucket in BUCKETS} == said_buckets(
            tape
        )
        assert (row["usage_source"], row["cost_source"], row["outcome"]) == (
            "provider",
            "computed",
            "completed",
        )
        parts = ("input", "cache_read", "cache_write", "output", "reasoning", "other")
        assert (
            0
            < row["cost_usd"]
            == pytest.approx(sum(row[f"cost_{part}_usd"] or 0 for part in parts))
        )
        assert (row["stream"], row["model_requested"]) == (
            tape.streamed,
            tape.asked["model"],
        )
        assert json.loads(row["usage_json"])
        assert row["price_version"]


def test_runs_agents_and_steps_are_those_that_path_and_headers_name(scene: Scene):
    first, second = scene.of_run("R1")
    assert [
        (row["step_seq"], row["agent"], row["agent_source"], row["run_source"])
        for row in (first, second)
    ] == [
        (1, "booker", "path", "explicit"),
        (2, "booker", "path", "explicit"),
    ]
    assert {"path_prefix"} <= {*first["altered"]}
    (third,) = scene.of_run("R2")
    assert (third["step_name"], third["session_id"], third["tags"], third["env"]) == (
        "look up",
        "S1",
        {"team": "blue"},
        "tests",
    )
    assert len({row["caller"] for row in (first, second)}) == 1
    assert third["caller"] not in ("", "anonymous", first["caller"])


def test_ids_and_limits_are_those_of_the_answers_headers(scene: Scene):
    def said(tape: Tape, name: str) -> str:
        return next(
            value for each, value in tape.headers if each.lower() == name.encode()
        ).decode()

    first, second = scene.of_run("R1")
    (third,) = scene.of_run("R2")
    assert first["request_id"] == said(scene.chat, "x-request-id")
    assert second["request_id"] == said(scene.responses, "x-request-id")
    assert third["request_id"] == said(scene.messages, "request-id")
    for kind in ("requests", "tokens"):
        for side in ("limit", "remaining"):
            assert first[f"ratelimit_{side}_{kind}"] == int(
                said(scene.chat, f"x-ratelimit-{side}-{kind}")
            )
    assert third["ratelimit_limit_tokens"] == int(
        said(scene.messages, "anthropic-ratelimit-tokens-limit")
    )


def test_another_model_billed_inside_an_answer_is_a_part(scene: Scene):
    (row,), (part,) = scene.of_run("R3"), scene.of_run("R3", part=1)
    assert (row["attempt_id"], row["tok_input"], row["tok_output"]) == (
        part["attempt_id"],
        100,
        50,
    )
    assert (
        part["model_served"],
        part["tok_input"],
        part["tok_output"],
        part["is_step"],
    ) == ("claude-opus-4-5", 400, 70, False)
    assert part["cost_usd"] > row["cost_usd"] > 0


def test_each_attempt_is_a_row_and_refusals_cost_nothing(scene: Scene):
    rows = scene.of_run("R4")
    assert [
        (row["http_status"], row["outcome"], row["error_type"]) for row in rows
    ] == [
        (429, "rejected", "rate_limited"),
        (429, "rejected", "rate_limited"),
        (401, "rejected", "auth"),
    ]
    assert {row["cost_usd"] for row in rows} == {None}


def test_tools_and_refusals_of_ours_are_rows_too(scene: Scene):
    (tool,) = scene.of_run("R5")
    assert (
        tool["kind"],
        tool["route"],
        tool["http_status"],
        tool["tok_input"],
        tool["cost_usd"],
    ) == ("tool", "tool", 200, None, None)
    (refused,) = [row for row in scene.rows if row["outcome"] == "blocked"]
    assert (refused["http_status"], refused["route"], refused["is_step"]) == (
        404,
        "",
        False,
    )
