"""Fallbacks and retries that cannot work refuse the start, and name the key."""

import json
from typing import Any

import pytest

from proxy.config import load
from proxy.errors import SettingsError

ONE = "https://api.openai.com"


def loaded(tmp_path: Any, **routes: Any) -> Any:
    path = tmp_path / "tacho.yaml"
    path.write_text(json.dumps({"data_dir": str(tmp_path / "d"), "routes": routes}))
    return load(str(path), {})


def other(**fields: Any) -> dict[str, Any]:
    return {"url": "https://two.test", "upstream_key_env": "TWO_KEY", **fields}


GOOD = {
    "own key": ({"route": "b"}, other()),
    "signed": ({"route": "b"}, {"url": "https://two.test", "sign": "aws"}),
    "no key": ({"route": "b", "key": "none"}, {"url": "http://127.0.0.1:9"}),
    "same provider": ({"route": "b", "key": "agent"}, {"url": "https://eu.api.openai.com"}),
    "same host": ({"route": "b", "key": "agent"}, {"url": "https://api.openai.com:444"}),
    "models": ({"route": "b", "models": {"gpt-4o": "x", "*": "y"}}, other()),
}  # fmt: skip


@pytest.mark.parametrize(("fallback", "target"), GOOD.values(), ids=GOOD.keys())
def test_what_works_is_taken(tmp_path, fallback, target):
    found = loaded(tmp_path, a={"url": ONE, "fallback": [fallback]}, b=target)
    assert found.routes["a"].fallback[0].route == "b"


BAD = {
    "unknown": ([{"route": "x"}], other(), "routes.a.fallback[0].route: is 'x'; it must be one of "),
    "itself": ([{"route": "a"}], other(), "routes.a.fallback[0].route: is 'a'; it must be another route"),
    "twice": ([{"route": "b"}, {"route": "b"}], other(), "routes.a.fallback[1].route: is 'b'; it must be a route that is not there twice"),
    "another kind": ([{"route": "b"}], other(kind="embedding"), "routes.a.fallback[0].route: is 'b'; it must be a route of kind llm"),
    "another family": ([{"route": "b"}], other(dialect="anthropic_messages"), "routes.a.fallback[0].route: is 'b'; it must be a route of the dialect openai_chat"),
    "without a key": ([{"route": "b"}], {"url": "https://two.test"}, "routes.a.fallback[0].key: is own, but routes.b has no key: set routes.b.upstream_key_env"),
    "a key for strangers": ([{"route": "b", "key": "agent"}], other(), "routes.a.fallback[0].key: is 'agent'; it must be own or none"),
    "a key in the clear": ([{"route": "b", "key": "agent"}], {"url": "http://api.openai.com"}, "routes.a.fallback[0].key: is 'agent'; it must be own or none"),
    "no model": ([{"route": "b", "models": {"a": ""}}], other(), "routes.a.fallback[0].models.a: is ''; it must be the names of two models"),
    "a word": ([{"route": "b", "key": "mine"}], other(), "routes.a.fallback[0].key: is 'mine'; it must be one of own, agent, none"),
    "a typo": ([{"rout": "b"}], other(), "routes.a.fallback[0].rout: there is no such key; did you mean route?"),
}  # fmt: skip


@pytest.mark.parametrize(("fallback", "target", "said"), BAD.values(), ids=BAD.keys())
def test_what_cannot_work_is_refused(tmp_path, fallback, target, said):
    with pytest.raises(SettingsError) as refused:
        loaded(tmp_path, a={"url": ONE, "dialect": "openai_chat", "fallback": fallback}, b=target)  # fmt: skip
    assert said in str(refused.value)


def test_a_tool_has_no_fallback(tmp_path):
    with pytest.raises(SettingsError, match=r"routes.a.fallback\[0\]: is for routes to models; routes.a.kind is tool"):  # fmt: skip
        loaded(tmp_path, a={"url": ONE, "kind": "tool", "fallback": [{"route": "b"}]}, b=other(kind="tool"))  # fmt: skip


@pytest.mark.parametrize(
    ("retries", "said"),
    [
        ({"most": 0}, "routes.a.retries.most: is 0; it must be a positive number"),
        ({"most": 6}, "routes.a.retries.most: is 6; it must be at most 5"),
        ({"max_wait_seconds": 121}, "routes.a.retries.max_wait_seconds: is 121.0; it must be at most 120"),
        ({"budget_percent": 101}, "routes.a.retries.budget_percent: is 101.0; it must be at most 100"),
        ({"budget_per_second": -1}, "routes.a.retries.budget_per_second: is -1.0; it must be a positive number"),
        ({"times": 2}, "routes.a.retries.times: there is no such key"),
    ],
)  # fmt: skip
def test_retries_without_measure_are_refused(tmp_path, retries, said):
    with pytest.raises(SettingsError) as refused:
        loaded(tmp_path, a={"url": ONE, "retries": retries})
    assert said in str(refused.value)


def test_nothing_is_tried_again_by_default(tmp_path):
    found = loaded(tmp_path, a={"url": ONE}, b={"url": ONE, "retries": {}})
    assert (found.routes["a"].retries, found.routes["a"].fallback) == (None, ())
    assert found.routes["b"].retries.most == 2
