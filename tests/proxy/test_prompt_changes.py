"""What a worker learns of prompts from the records of another life."""

import pytest

from proxy.identify.prompts import Prompts
from proxy.prompt_changes import PROMPT_CHANGE, detail_of, hear
from proxy.record.codec import Event, Open
from tests.helpers.spooled import make_open


def opened(digest: int | None, source: str = "header") -> Open:
    return make_open("a", tenant="t", agent="bot", agent_source=source, prompt_hash=digest)  # fmt: skip


def test_a_prompt_that_was_used_is_no_news():
    prompts = Prompts()
    hear(prompts, opened(None))
    hear(prompts, opened(7))
    hear(prompts, opened(8, "run"))
    assert prompts.changed("t", "bot", 7) is None
    assert prompts.changed("t", "bot", 8) == 7


def test_a_change_that_was_told_is_known_though_its_call_is_lost():
    prompts = Prompts()
    hear(prompts, opened(7))
    hear(prompts, Event("e", 1, PROMPT_CHANGE, "t", "bot", detail=detail_of(7, 8)))
    assert prompts.changed("t", "bot", 8) is None


@pytest.mark.parametrize("detail", ["", "after 07", '{"before":"","after":"x"}'])
def test_an_event_of_another_version_or_sort_teaches_nothing(detail):
    prompts = Prompts()
    for kind in (PROMPT_CHANGE, "price"):
        hear(prompts, Event("e", 1, kind, "t", "bot", detail=detail))
    assert prompts.snapshot() == ()
