"""The wire families, one a file; `README.md` says how to add one.

What lives here: the list of them, in the order in which they are asked. What does not: any family.
"""

from proxy.meter.dialect import Dialect, Operation, Reader
from proxy.meter.dialects.anthropic_complete import AnthropicComplete
from proxy.meter.dialects.anthropic_messages import AnthropicMessages
from proxy.meter.dialects.openai_assistants import OpenAIAssistants
from proxy.meter.dialects.openai_chat import OpenAIChat
from proxy.meter.dialects.openai_completions import OpenAICompletions
from proxy.meter.dialects.openai_embeddings import OpenAIEmbeddings
from proxy.meter.dialects.openai_other import OpenAIOther
from proxy.meter.dialects.openai_responses import OpenAIResponses
from proxy.meter.dialects.plain_http import PlainHttp
from proxy.model import Kind

__all__ = ["DIALECTS", "PLAIN_HTTP", "Dialect", "Operation", "Reader", "recognise"]

PLAIN_HTTP = PlainHttp()

DIALECTS: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    AnthropicMessages(),
    OpenAICompletions(),
    OpenAIEmbeddings(),
    AnthropicComplete(),
    OpenAIAssistants(),
    OpenAIOther(),
    PLAIN_HTTP,
)

_OF_MODELS = (Kind.LLM, Kind.EMBEDDING)


def recognise(
    kind: Kind, forced: str, method: str, path: str
) -> tuple[Dialect, Operation]:
    """Find the dialect of a call to a route of this kind; a path that nobody knows is plain HTTP.

    Only routes to models are asked for model APIs, so that a tool with a path `/models` stays a tool. `forced` is a
    dialect's name from the settings, or empty.
    """
    for dialect in DIALECTS:
        if dialect.name == forced or (not forced and kind in _OF_MODELS):
            operation = dialect.operation(method, path)
            if operation is not None:
                return dialect, operation
    return PLAIN_HTTP, PLAIN_HTTP.operation(method, path)
