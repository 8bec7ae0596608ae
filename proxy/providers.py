"""Every provider that is known by name, one line each.

What lives here: where a provider is, what its keys and paths look like, what it is called in the price table. What does not: what follows
from that: built-in routes (`config/loader.py`), recognition without a route (`accept/recognise.py`), wire families (`meter/dialects/`).

Adding a provider of a known family is one line here and one in `docs/providers.md`, which a test compares. A URL is the host's root, so
that whatever an SDK puts behind its own host also stands behind the route.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

StreamUsage = Literal["inject", "estimate", "off"]

_OPENAI = (
    "/v1/(chat/completions|completions|responses|conversations|embeddings|models|moderations|files|uploads|batches"
    "|images|audio|videos|realtime|fine_tuning|vector_stores|assistants|threads|evals|containers|rerank)(/.*)?"
)
_AZURE_KEY = "(?=.{52}JQQJ|.{76}ACOG)[A-Za-z0-9]{84}"
"""Azure's newer keys carry marks at fixed places, so that they are known also where an OpenAI client sends them as Bearer."""
_GOOGLE_KEY = "AIza[A-Za-z0-9_-]{30,}|AQ\\.[A-Za-z0-9_-]{30,}"


@dataclass(frozen=True)
class Provider:
    """One provider."""

    name: str
    """Name of the built-in route, and the column `provider`."""
    url: str = ""
    """Empty where every customer has a host of their own: then there is no route until the settings give one."""
    base: str | None = ""
    """What the base URL of an OpenAI client has behind the route; `None`: it has no such API. For `docs/providers.md`."""
    own: str = ""
    """How its own SDK is told, as `NAME` or `NAME=/path/behind/the/route`. For `docs/providers.md`."""
    prices: str = ""
    """Its id in genai-prices; empty: the name."""
    stream_usage: StreamUsage = "estimate"
    """`inject` where chat streams carry usage only when asked, and asking is understood."""
    key: str = ""
    """What its keys look like and nobody else's do, wherever they stand; empty: they cannot be told from others."""
    slot_key: str = ""
    """What else its keys look like in the header `key_slot`; in another place that says nothing."""
    key_slot: bytes = b""
    paths: str = ""
    """Paths that are recognised without a route, together with a key."""
    hosts: tuple[str, ...] = ()
    """Official hosts besides that of the URL; `*` stands for any part of a name."""
    aliases: tuple[str, ...] = ()
    """Other names under which settings may know it."""
    self_hosted: bool = False
    """Nobody bills it by the token."""
    embeds: bool = False
    """It has no models that write: its route is one of embeddings."""

    @property
    def price_id(self) -> str:
        """Give the name that the price table knows."""
        return self.prices or self.name

    @cached_property
    def key_shape(self) -> re.Pattern[bytes] | None:
        """Give the expression for a whole key in any place."""
        return re.compile(self.key.encode()) if self.key else None

    @cached_property
    def slot_shape(self) -> re.Pattern[bytes] | None:
        """Give the expression for a whole key in its own header."""
        return re.compile(self.slot_key.encode()) if self.slot_key else None

    @cached_property
    def path_shape(self) -> re.Pattern[bytes] | None:
        """Give the expression for a whole path without route."""
        return re.compile(self.paths.encode()) if self.paths else None

    @cached_property
    def host_shape(self) -> re.Pattern[str]:
        """Give the expression for the hosts that are certainly its own."""
        host = "" if self.self_hosted else self.url.partition("://")[2]
        names = (
            re.escape(name).replace(r"\*", "[^/]+") for name in (host, *self.hosts)
        )
        return re.compile("|".join(name for name in names if name) or "(?!)")


# fmt: off
PROVIDERS: tuple[Provider, ...] = (
    Provider("openai", "https://api.openai.com", "/v1", stream_usage="inject", paths=_OPENAI, hosts=("*.api.openai.com",), own="OPENAI_BASE_URL=/v1",
             key="sk-(?!ant-|or-)([A-Za-z0-9_-]*T3BlbkFJ[A-Za-z0-9_-]+|(proj|svcacct|admin)-[A-Za-z0-9_-]{20,})"),
    Provider("anthropic", "https://api.anthropic.com", "/v1", own="ANTHROPIC_BASE_URL", key="sk-ant-[A-Za-z0-9_-]{8,}", paths="/v1/(messages|models|complete|files)(/.*)?"),
    Provider("gemini", "https://generativelanguage.googleapis.com", "/v1beta/openai", own="GOOGLE_GEMINI_BASE_URL", prices="google", aliases=("google-gla",), stream_usage="inject",
             key=_GOOGLE_KEY, paths="/(upload/)?v1(beta|alpha)?/(models|interactions|cachedContents|files|tunedModels|batches|openai)([/:].*)?"),
    Provider("vertex", base="/v1/projects/PROJECT/locations/REGION/endpoints/openapi", own="GOOGLE_VERTEX_BASE_URL", prices="google",
             hosts=("aiplatform.googleapis.com", "*.aiplatform.googleapis.com", "*-aiplatform.googleapis.com"), stream_usage="inject",
             aliases=("google-vertex", "vertexai"), key=_GOOGLE_KEY),
    Provider("azure", base="/openai/v1", own="AZURE_OPENAI_ENDPOINT", hosts=("*.openai.azure.com", "*.cognitiveservices.azure.com", "*.services.ai.azure.com"), stream_usage="inject",
             key=_AZURE_KEY, slot_key="[0-9a-f]{32}|[A-Za-z0-9]{84}", key_slot=b"api-key", paths="/openai/(deployments|v1|responses|models|files|batches|images|threads|assistants)(/.*)?"),
    Provider("bedrock", base="/openai/v1", own="AWS_ENDPOINT_URL_BEDROCK_RUNTIME", prices="aws", hosts=("bedrock-runtime*.amazonaws.com", "bedrock-mantle.*.api.aws"), aliases=("aws-bedrock",),
             key="A[KS]IA[A-Z0-9]{16}|ABSK[A-Za-z0-9+/=]{20,}|bedrock-api-key-.+", paths="/model/[^/]+/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)"),
    Provider("cohere", "https://api.cohere.com", "/compatibility/v1", own="CO_API_URL", hosts=("api.cohere.ai",)),
    Provider("mistral", "https://api.mistral.ai", "/v1", own="server_url", hosts=("codestral.mistral.ai",)),
    Provider("groq", "https://api.groq.com", "/openai/v1", own="GROQ_BASE_URL", key="gsk_[A-Za-z0-9]{20,}", paths="/openai" + _OPENAI),
    Provider("deepseek", "https://api.deepseek.com", "/v1"),
    Provider("xai", "https://api.x.ai", "/v1", prices="x-ai", hosts=("*.api.x.ai",), key="xai-[A-Za-z0-9]{20,}", paths=_OPENAI),
    Provider("openrouter", "https://openrouter.ai", "/api/v1", key="sk-or-v1-[A-Za-z0-9]{20,}", paths="/api/v1/.*"),
    Provider("together", "https://api.together.xyz", "/v1", own="TOGETHER_BASE_URL", hosts=("api.together.ai",), key="tgp_v1_[A-Za-z0-9_-]{20,}", paths=_OPENAI),
    Provider("fireworks", "https://api.fireworks.ai", "/inference/v1", key="fw_[A-Za-z0-9]{20,}", paths="/inference/v1/.*"),
    Provider("perplexity", "https://api.perplexity.ai", key="pplx-[A-Za-z0-9]{20,}", paths="/(v1/)?(chat/completions|async/chat/completions|responses|embeddings|search)(/.*)?"),
    Provider("voyage", "https://api.voyageai.com", None, own="base_url=/v1", prices="voyageai", aliases=("voyage-ai",), embeds=True,
             key="pa-[A-Za-z0-9_-]{30,}", paths="/v1/(embeddings|rerank|multimodalembeddings|contextualizedembeddings)"),
    Provider("cerebras", "https://api.cerebras.ai", "/v1", own="CEREBRAS_BASE_URL", key="csk-[a-z0-9]{20,}", paths=_OPENAI),
    Provider("huggingface", "https://router.huggingface.co", "/v1", stream_usage="inject", key="hf_[A-Za-z0-9]{20,}", paths=f"(/[a-z0-9-]+)?{_OPENAI}"),
    Provider("nvidia", "https://integrate.api.nvidia.com", "/v1", stream_usage="inject", key="nvapi-[A-Za-z0-9_-]{20,}", paths=_OPENAI),
    Provider("writer", "https://api.writer.com", "/v1"),
    Provider("moonshotai", "https://api.moonshot.ai", "/v1", hosts=("api.moonshot.cn",), aliases=("moonshot",)),
    Provider("zai", "https://api.z.ai", "/api/paas/v4"),
    Provider("minimax", "https://api.minimax.io", "/v1", hosts=("api.minimaxi.com",)),
    Provider("novita", "https://api.novita.ai", "/openai/v1", stream_usage="inject"),
    Provider("deepinfra", "https://api.deepinfra.com", "/v1/openai", stream_usage="inject"),
    Provider("sambanova", "https://api.sambanova.ai", "/v1", stream_usage="inject"),
    Provider("baseten", "https://inference.baseten.co", "/v1", stream_usage="inject"),
    Provider("ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net", "/v1", stream_usage="inject"),
    Provider("ollama", "http://127.0.0.1:11434", "/v1", own="OLLAMA_HOST", self_hosted=True, stream_usage="inject"),
    Provider("vllm", "http://127.0.0.1:8000", "/v1", self_hosted=True, stream_usage="inject"),
    Provider("llama_cpp", "http://127.0.0.1:8080", "/v1", aliases=("llama.cpp", "llamacpp"), self_hosted=True, stream_usage="inject"),
    Provider("lmstudio", "http://127.0.0.1:1234", "/v1", self_hosted=True, stream_usage="inject"),
    Provider("sglang", "http://127.0.0.1:30000", "/v1", self_hosted=True, stream_usage="inject"),
    Provider("tgi", base="/v1", self_hosted=True, stream_usage="inject"),
)
# fmt: on

_BY_NAME = {
    word: provider
    for provider in reversed(PROVIDERS)
    for word in (provider.name, provider.price_id, *provider.aliases)
}
SELF_HOSTED = frozenset(
    word
    for provider in PROVIDERS
    if provider.self_hosted
    for word in (provider.name, *provider.aliases)
)
"""Nobody bills these by the token: the same model's price elsewhere would be a wrong one."""


def find(name: str) -> Provider | None:
    """Find a provider by its name, its id in the price table or an alias."""
    return _BY_NAME.get(name.strip().lower())


@lru_cache(256)
def of_host(host: str) -> Provider | None:
    """Find the provider whose own host this certainly is; a dot at the end changes nothing."""
    host = host.removesuffix(".")
    return next((p for p in PROVIDERS if p.host_shape.fullmatch(host)), None)


def price_id(name: str) -> str:
    """Give the name under which the price table knows a provider; an unknown one keeps its name."""
    found = find(name)
    return found.price_id if found else name
