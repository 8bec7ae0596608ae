"""Headers of the providers, and limits that recover."""

from proxy.simulate.headers import Limits, anthropic, gemini, openai


def test_limits_go_down_with_use_and_come_back_with_time():
    limits = Limits(requests=60, tokens=600)
    limits.take(100, 0.0)
    assert limits.left() == (59, 500)
    limits.take(700, 1.0)
    assert limits.left() == (59, 0)
    limits.take(0, 1000.0)
    assert limits.left() == (59, 600)


def test_openais_headers():
    limits = Limits(requests=60, tokens=600)
    limits.take(300, 0.0)
    found = openai(limits, "req_1", 0.25)
    assert found["x-request-id"] == "req_1"
    assert found["openai-processing-ms"] == "250"
    assert found["x-ratelimit-remaining-tokens"] == "300"
    assert found["x-ratelimit-reset-tokens"] == "30.000s"
    limits.take(600, 0.0)
    assert openai(limits, "r", 0.0)["x-ratelimit-reset-tokens"] == "1m0s"
    assert openai(Limits(), "r", 0.0)["x-ratelimit-reset-tokens"] == "0ms"


def test_anthropics_headers():
    found = anthropic(Limits(), "req_2", 1_700_000_000.5)
    assert found["request-id"] == "req_2"
    assert found["anthropic-ratelimit-requests-limit"] == "10000"
    assert found["anthropic-ratelimit-tokens-reset"] == "2023-11-14T22:13:20Z"


def test_googles_headers():
    assert gemini(0.1)["server-timing"] == "gfet4t7; dur=100"
