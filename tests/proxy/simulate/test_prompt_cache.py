"""Prefixes are read from the cache as the providers do it."""

from proxy.simulate.prompt_cache import MINIMUM_TOKENS, PromptCache
from proxy.simulate.tokens import LONG, SHORT, Segment

LONG_TEXT = "abcdefgh" * 1000


def test_automatic_caching_reads_whole_blocks_of_what_was_seen():
    cache = PromptCache()
    assert cache.automatic("k", [Segment(LONG_TEXT)], 0.0) == 0
    assert cache.automatic("k", [Segment(LONG_TEXT), Segment("more")], 1.0) == 1920
    changed = "X" + LONG_TEXT[1:]
    assert cache.automatic("k", [Segment(changed)], 1.0) == 0
    assert cache.automatic("other", [Segment(LONG_TEXT)], 1.0) == 0


def test_short_prompts_are_not_cached():
    cache = PromptCache()
    text = [Segment("a" * 4 * (MINIMUM_TOKENS - 1))]
    assert [cache.automatic("k", text, 0.0) for _ in range(2)] == [0, 0]


def test_what_was_cached_is_forgotten_in_time():
    cache = PromptCache()
    cache.automatic("k", [Segment(LONG_TEXT)], 0.0)
    assert cache.automatic("k", [Segment(LONG_TEXT)], 301.0) == 0


def test_marks_write_and_the_next_request_reads():
    cache = PromptCache()
    parts = [Segment(LONG_TEXT, SHORT), Segment("hello")]
    assert cache.marked("k", parts, 0.0) == (0, (2000, 0))
    moved = [Segment(LONG_TEXT), Segment("hello"), Segment("x" * 400, SHORT)]
    assert cache.marked("k", moved, 1.0) == (2000, (102, 0))
    assert cache.marked("k", [Segment(LONG_TEXT)], 1.0) == (0, (0, 0))


def test_long_marks_are_counted_apart():
    cache = PromptCache()
    parts = [Segment(LONG_TEXT, LONG), Segment(LONG_TEXT, SHORT)]
    assert cache.marked("k", parts, 0.0) == (0, (2000, 2000))
    assert cache.marked("k", parts, 600.0) == (2000, (2000, 0))


def test_a_mark_on_a_short_prompt_is_ignored():
    assert PromptCache().marked("k", [Segment("hi", SHORT)], 0.0) == (0, (0, 0))


def test_memory_is_bounded():
    cache = PromptCache(max_prefixes=10)
    cache.automatic("k", [Segment(LONG_TEXT)], 0.0)
    assert len(cache) == 10
