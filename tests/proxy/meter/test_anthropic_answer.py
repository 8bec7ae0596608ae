"""What is not shown by the dialects that read it (`test_anthropic_messages.py`, `test_bedrock_invoke.py`)."""

from proxy.meter.anthropic_answer import AnthropicAnswer
from tests.helpers.meter import dumps


def test_the_usage_of_a_stream_is_one_object():
    answer = AnthropicAnswer(200)
    start = {
        "usage": {
            "input_tokens": 3,
            "output_tokens": 1,
            "cache_read_input_tokens": None,
        }
    }
    answer.event(b"", dumps({"type": "message_start", "message": start}))
    answer.event(b"", dumps({"type": "message_delta", "usage": {"output_tokens": 7}}))
    assert answer.said == {"input_tokens": 3, "output_tokens": 7}
