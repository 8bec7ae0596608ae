"""Ollama's arithmetic."""

from tests.helpers.recordings import Recording


def ollama(recording: Recording) -> dict[str, int]:
    """Give the two counts; that of a prompt which was cached is left out."""
    counts = recording.usage[-1]
    return {
        "input": counts.get("prompt_eval_count", 0),
        "output": counts.get("eval_count", 0),
    }
