"""Which targets are reports of an outcome, and what their bodies may say."""

import pytest

from proxy.accept.refusal import Refusal
from proxy.accept.reports import (
    Report,
    ReportTarget,
    read_report,
    read_target,
    too_large,
)

TARGETS = {
    "run": (b"/run/R1/outcome", ReportTarget("R1")),
    "all prefixes": (
        b"/tenant/t/agent/a/run/R1/outcome",
        ReportTarget("R1", "t", "a"),
    ),
    "response": (b"/tacho/outcome", ReportTarget("")),
    "response of an agent": (b"/agent/a/tacho/outcome", ReportTarget("", "", "a")),
    "run and response": (b"/run/R1/tacho/outcome", ReportTarget("R1")),
    "a run called outcome": (b"/run/outcome/outcome", ReportTarget("outcome")),
}
OTHERS = {
    "a route of that name": b"/outcome",
    "a route of that name for an agent": b"/agent/a/outcome",
    "below a route": b"/run/R1/openai/outcome",
    "further down": b"/run/R1/outcome/x",
    "a run of that name": b"/run/outcome",
    "an absolute target": b"http://h/run/R1/outcome",
    "in the query": b"/openai/x?/run/R1/outcome",
    "prefixes in another order": b"/run/R1/agent/bot/outcome",
}


@pytest.mark.parametrize(("target", "expected"), TARGETS.values(), ids=TARGETS.keys())
def test_a_report_is_known_by_its_path(target: bytes, expected: ReportTarget):
    assert read_target("POST", target) == expected


@pytest.mark.parametrize("target", OTHERS.values(), ids=OTHERS.keys())
def test_anything_else_is_left_to_the_routes(target: bytes):
    assert read_target("POST", target) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_report_is_a_post(method: str):
    refusal = read_target(method, b"/run/R1/outcome")
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.headers) == (405, (("Allow", "POST"),))


def test_a_report_takes_no_query():
    refusal = read_target("POST", b"/run/R1/outcome?outcome=success")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400


BODIES = {
    "outcome": (b'{"outcome":"success"}', Report("success")),
    "all": (
        b'{"outcome":"failure","reason":"no seat","value":0.5}',
        Report("failure", "no seat", 0.5),
    ),
    "whole number": (b'{"outcome":"ended","value":3}', Report("ended", "", 3.0)),
}


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES.keys())
def test_a_good_body_is_read(body: bytes, expected: Report):
    assert read_report(ReportTarget("R1"), body) == expected


BAD = {
    "nothing": (b"", "must be JSON"),
    "no JSON": (b"success", "must be JSON"),
    "a list": (b"[]", "must be JSON"),
    "no outcome": (b"{}", "outcome"),
    "unknown key": (b'{"outcome":"success","why":"x"}', "why"),
    "wrong type": (b'{"outcome":"success","value":"1"}', "value"),
    "unknown outcome": (b'{"outcome":"won"}', "one of success, failure"),
    "open": (b'{"outcome":"open"}', "one of success, failure"),
    "two runs": (b'{"outcome":"success","response_id":"r"}', "leave response_id out"),
}


@pytest.mark.parametrize(("body", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_body_is_refused_with_what_is_right(body: bytes, said: str):
    refusal = read_report(ReportTarget("R1"), body)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400
    assert said in refusal.message


def test_without_a_run_the_body_names_a_response():
    target = ReportTarget("")
    body = b'{"outcome":"success","response_id":"resp_1"}'
    assert read_report(target, body) == Report("success", response_id="resp_1")
    refusal = read_report(target, b'{"outcome":"success"}')
    assert isinstance(refusal, Refusal)
    assert "which run?" in refusal.message


def test_the_limit_is_named():
    assert "4096 bytes" in too_large().message


@pytest.mark.parametrize("target", [b"/run/no%20good/outcome", b"/run//outcome", b"/agent/%00/tacho/outcome"])  # fmt: skip
def test_a_report_names_its_run_and_agent_rightly_or_is_refused(target: bytes):
    refusal = read_target("POST", target)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (400, "bad_report")
