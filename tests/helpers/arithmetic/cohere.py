"""Cohere's arithmetic."""

from tests.helpers.recordings import Recording


def cohere(recording: Recording) -> dict[str, int]:
    """Give the buckets of what is billed: `tokens` is what the model read, with prompts of Cohere's own."""
    billed = recording.usage[-1]["billed_units"]
    return {
        "input": int(billed.get("input_tokens", 0)),
        "output": int(billed.get("output_tokens", 0)),
    }
