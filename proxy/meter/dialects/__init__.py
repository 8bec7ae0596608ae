"""The wire families, one a file; `README.md` says how to add one.

What lives here: the list of them, in the order in which they are asked. What does not: any family.
"""

from msgspec.structs import replace

from proxy.meter.dialect import Dialect, Operation, Reader
from proxy.meter.dialects.anthropic_complete import AnthropicComplete
from proxy.meter.dialects.anthropic_messages import AnthropicMessages
from proxy.meter.dialects.bedrock_converse import BedrockConverse
from proxy.meter.dialects.bedrock_invoke import BedrockInvoke
from proxy.meter.dialects.bedrock_other import BedrockOther
from proxy.meter.dialects.cohere_embed import CohereEmbed
from proxy.meter.dialects.cohere_v1 import CohereV1
from proxy.meter.dialects.cohere_v2 import CohereV2
from proxy.meter.dialects.deferred_chat import DeferredChat
from proxy.meter.dialects.gemini_embeddings import GeminiEmbeddings
from proxy.meter.dialects.gemini_generate import GeminiGenerate
from proxy.meter.dialects.gemini_interactions import GeminiInteractions
from proxy.meter.dialects.gemini_other import GeminiOther
from proxy.meter.dialects.llama_cpp import LlamaCpp
from proxy.meter.dialects.mcp import Mcp
from proxy.meter.dialects.mistral_conversations import MistralConversations
from proxy.meter.dialects.ollama import Ollama
from proxy.meter.dialects.openai_assistants import OpenAIAssistants
from proxy.meter.dialects.openai_chat import OpenAIChat
from proxy.meter.dialects.openai_completions import OpenAICompletions
from proxy.meter.dialects.openai_embeddings import OpenAIEmbeddings
from proxy.meter.dialects.openai_other import OpenAIOther
from proxy.meter.dialects.openai_responses import OpenAIResponses
from proxy.meter.dialects.plain_http import PlainHttp
from proxy.meter.dialects.rerank import Rerank
from proxy.meter.dialects.tgi import Tgi
from proxy.meter.dialects.voyage import Voyage
from proxy.model import Kind

__all__ = ["DIALECTS", "PLAIN_HTTP", "Dialect", "Operation", "Reader", "recognise"]

PLAIN_HTTP = PlainHttp()

DIALECTS: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    AnthropicMessages(),
    OpenAICompletions(),
    Ollama(),
    OpenAIEmbeddings(),
    AnthropicComplete(),
    CohereV1(),
    CohereV2(),
    CohereEmbed(),
    Rerank(),
    Voyage(),
    BedrockConverse(),
    BedrockInvoke(),
    BedrockOther(),
    GeminiGenerate(),
    GeminiEmbeddings(),
    GeminiInteractions(),
    GeminiOther(),
    LlamaCpp(),
    Tgi(),
    DeferredChat(),
    OpenAIAssistants(),
    MistralConversations(),
    OpenAIOther(),
    Mcp(),
    PLAIN_HTTP,
)

_OF_MODELS = (Kind.LLM, Kind.EMBEDDING)
_READING = ("GET", "HEAD")
_KINDS = {Mcp.name: (Kind.MCP,)}
"""The routes on which a dialect is asked, where these are not those to models."""


def recognise(
    kind: Kind, forced: str, method: str, path: str, *, upgrade: bool = False
) -> tuple[Dialect, Operation]:
    """Find the dialect of a call to a route of this kind; a path that nobody knows is plain HTTP.

    Only routes to models are asked for model APIs, so that a tool with a path `/models` stays a tool, and only
    those to MCP servers for MCP. `forced` is a dialect's name from the settings, or empty. To ask a model takes a body, or
    an `upgrade` to WebSocket: what only reads something of an API of models, a balance or an icon, is no work.
    """
    for dialect in DIALECTS:
        asked = kind in _KINDS.get(dialect.name, _OF_MODELS)
        if dialect.name == forced or (not forced and asked):
            operation = dialect.operation(method, path)
            if operation is not None and dialect is not PLAIN_HTTP:
                return dialect, operation
    operation = PLAIN_HTTP.operation(method, path)
    if kind in _OF_MODELS and method in _READING and not upgrade:
        operation = replace(operation, is_step=False)
    return PLAIN_HTTP, operation
