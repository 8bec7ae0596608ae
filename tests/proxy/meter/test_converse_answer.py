"""What is not shown by the dialects that read it (`test_bedrock_converse.py`, `test_bedrock_invoke.py`)."""

import pytest

from proxy.meter import lenient
from proxy.meter.converse_answer import ConverseAnswer
from proxy.meter.draft import Draft


def test_usage_is_left_to_the_owner():
    answer = ConverseAnswer(Draft(200))
    answer.document(b'{"usage":{"inputTokens":3}}')
    assert answer.usage is not None
    assert (answer.usage.input, answer.usage_json) == (3, b'{"inputTokens":3}')
    assert answer.draft.usage is None


def test_what_cannot_be_read_raises():
    with pytest.raises(lenient.UNREADABLE):
        ConverseAnswer(Draft(200)).event("metadata", b"{")


def test_an_unknown_event_says_nothing():
    answer = ConverseAnswer(Draft(200))
    answer.event("other", b'{"usage":{"inputTokens":3}}')
    assert answer.usage is None
