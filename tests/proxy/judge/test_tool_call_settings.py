"""Whose answers are judged how: the first exception that fits counts, and what it does not name stays."""

from proxy.judge.matching import Site, effective
from proxy.judge.tool_call_settings import ToolCallOverride, ToolCallSettings
from proxy.model import Kind

SITE = Site("acme", "nightly-1", "someone", "openai", "gpt-4o", Kind.LLM)


def test_by_default_they_observe_all_problems():
    settings = ToolCallSettings()
    assert (settings.mode, settings.action) == ("observe", "block")
    assert settings.problems == ("unknown_tool", "bad_json", "bad_arguments")


def test_an_exception_changes_what_it_names():
    when = (ToolCallOverride(agent="nightly-*", mode="enforce", action="repair"), ToolCallOverride(model="gpt-*", mode="off"))  # fmt: skip
    settings = ToolCallSettings(problems=("bad_json",), when=when)
    found = effective(settings, settings.when, SITE)
    assert (found.mode, found.action, found.problems) == ("enforce", "repair", ("bad_json",))  # fmt: skip
