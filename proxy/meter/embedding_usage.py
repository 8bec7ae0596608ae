"""The usage objects of embedding and ranking models, which only read.

What lives here: the one count that some of them give. What does not: Cohere's (`cohere_usage`), OpenAI's full object (`openai_usage`).
"""

from collections.abc import Mapping
from typing import Any

from proxy.meter import lenient, openai_usage
from proxy.model import Usage


def buckets(said: Mapping[str, Any] | None) -> Usage | None:
    """Take `total_tokens` for the input where nothing else is said (Voyage, Jina).

    Voyage's multimodal models also say how much of it was text; the rest are pixels that count as tokens.
    """
    usage = openai_usage.buckets(said)
    if usage is not None or said is None:
        return usage
    total, text = (
        lenient.count(said.get(name)) for name in ("total_tokens", "text_tokens")
    )
    if total is None:
        return None
    if text is None or text >= total:
        return Usage(input=total)
    return Usage(input=text, image_in=total - text)
