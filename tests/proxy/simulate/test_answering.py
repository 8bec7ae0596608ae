"""Answers over HTTP in every family, whole and streamed, as faults let them."""

import http.client
import json
import time

import pytest

from proxy.simulate.answering import Seen
from proxy.simulate.engine import Settings
from proxy.simulate.faults import Rates
from tests.helpers.simulated import MODELS, asking, call, path_of, simulated

FAMILIES = [*MODELS]
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
ALL = pytest.mark.parametrize("family", FAMILIES)


def ask(provider, family, text, *, stream=False):
    body = asking(family, text, stream=stream)
    return call(provider.url, path_of(family, stream=stream), body)


@ALL
@BOTH
def test_a_failure_comes_as_often_as_planned_and_then_the_answer(
    provider, family, stream
):
    plan = f"{stream} <<plan: fail 503 times 2 | say Well.>>"
    said = [ask(provider, family, plan, stream=stream) for _ in range(3)]
    assert [each.status for each in said] == [503, 503, 200]
    assert "error" in said[0].json()
    assert b"Well" in said[2].body


@ALL
@BOTH
def test_a_cut_answer_is_no_whole_one(provider, family, stream):
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(
            provider,
            family,
            "<<plan: cut after 3 tokens always & pad 50>>",
            stream=stream,
        )
    assert len(cut.value.partial) > 0


@ALL
@BOTH
def test_an_error_in_a_stream_ends_it_properly(provider, family, stream):
    said = ask(
        provider,
        family,
        "<<plan: error in stream after 2 always & pad 9>>",
        stream=stream,
    )
    assert said.status == (200 if stream else 500)
    assert b'"error"' in said.body
    assert b"One " in said.body or not stream


@ALL
def test_slowness_is_felt(provider, family):
    begun = time.monotonic()
    assert ask(provider, family, "<<plan: slow 0.05 & say Hi.>>").status == 200
    assert time.monotonic() - begun >= 0.05


def test_a_limit_says_when_to_come_back(provider):
    said = ask(provider, "openai_chat", "<<plan: fail 429 retry-after 1.5>>")
    assert (said.status, said.headers["retry-after"]) == (429, "1.5")
    assert said.json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("openai_chat", "insufficient_quota"),
        ("anthropic_messages", "credit balance"),
        ("gemini", "current quota"),
    ],
)
def test_the_bill_is_another_matter_than_the_rate(provider, family, words):
    assert words in ask(provider, family, "<<plan: fail 429 quota>>").body.decode()


def test_headers_are_the_providers(provider):
    wanted = {
        "openai_chat": {
            "x-request-id",
            "x-ratelimit-remaining-tokens",
            "openai-processing-ms",
        },
        "openai_responses": {"x-request-id", "x-ratelimit-remaining-requests"},
        "anthropic_messages": {
            "request-id",
            "anthropic-ratelimit-input-tokens-remaining",
        },
        "gemini": {"server-timing"},
    }
    for family, names in wanted.items():
        assert names <= ask(provider, family, "Hi.").headers.keys()


def test_faults_come_by_chance_where_rates_are_set():
    with simulated(Settings(seed=3, rates=Rates.parse("500=0.5"))) as provider:
        said = [ask(provider, "openai_chat", f"Question {n}").status for n in range(40)]
        assert 8 <= said.count(500) <= 32
        assert [seen.status for seen in provider.seen] == said


def test_what_was_answered_is_noted():
    with simulated() as provider:
        ask(provider, "gemini", "<<plan: fail 503 | say Hi.>>", stream=True)
        ask(provider, "gemini", "<<plan: fail 503 | say Hi.>>", stream=True)
        assert [*provider.seen] == [
            Seen("gemini", "gemini-2.5-flash", True, 503, 0, "fail"),
            Seen("gemini", "gemini-2.5-flash", True, 200, 0, ""),
        ]


def test_a_runaway_runs_as_long_as_it_is_asked(provider):
    messages = [
        {
            "role": "user",
            "content": '<<plan: loop forever call search {"q": "tea $n"}>>',
        }
    ]
    tools = asking("openai_chat", "")["tools"]
    for number in range(1, 30):
        body = {"model": "m", "messages": messages, "tools": tools}
        message = call(provider.url, path_of("openai_chat"), body).json()["choices"][0][
            "message"
        ]
        [made] = message["tool_calls"]
        assert json.loads(made["function"]["arguments"]) == {"q": f"tea {number}"}
        messages += [
            message,
            {"role": "tool", "tool_call_id": made["id"], "content": "x"},
        ]
