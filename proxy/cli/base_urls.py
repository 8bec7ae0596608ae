"""Which variables lead clients to the proxy, and what they must say so that a run stands in the path.

What lives here: the table of variables, and the environment of a child of `tacho run`. What does not: the providers behind the routes,
starting the child (`run.py`). Keys are never touched.

A variable that leads elsewhere already keeps its value unless a route leads to the same place: a key and a prompt never go to a
provider that they were not meant for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from proxy.accept.refusal import Refusal
from proxy.accept.routes import PREFIXES, read_prefixes


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable that a client reads its base URL from."""

    name: str
    route: str
    suffix: str = ""
    """What its client has behind the provider's host when nobody sets it; some add it by themselves."""
    headers: str = ""
    """The variable from which the same client takes further headers, as `Name: value` lines."""


VARIABLES = (
    Variable("OPENAI_BASE_URL", "openai", "/v1", "OPENAI_CUSTOM_HEADERS"),
    Variable("OPENAI_API_BASE", "openai", "/v1"),
    Variable("ANTHROPIC_BASE_URL", "anthropic", "", "ANTHROPIC_CUSTOM_HEADERS"),
    Variable("ANTHROPIC_API_URL", "anthropic"),
    Variable("ANTHROPIC_API_BASE", "anthropic"),
    Variable("GOOGLE_GEMINI_BASE_URL", "gemini"),
    Variable("GEMINI_API_BASE", "gemini", "/v1beta"),
    Variable("GOOGLE_VERTEX_BASE_URL", "vertex"),
    Variable("ANTHROPIC_VERTEX_BASE_URL", "vertex", "/v1"),
    Variable("AZURE_OPENAI_ENDPOINT", "azure"),
    Variable("AZURE_API_BASE", "azure"),
    Variable("ANTHROPIC_FOUNDRY_BASE_URL", "azure", "/anthropic"),
    Variable("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "bedrock"),
    Variable("ANTHROPIC_BEDROCK_BASE_URL", "bedrock"),
    Variable("CO_API_URL", "cohere"),
    Variable("GROQ_BASE_URL", "groq", "", "GROQ_CUSTOM_HEADERS"),
    Variable("GROQ_API_BASE", "groq", "/openai/v1"),
    Variable("TOGETHER_BASE_URL", "together", "", "TOGETHER_CUSTOM_HEADERS"),
    Variable("MISTRAL_API_BASE", "mistral", "/v1"),
    Variable("DEEPSEEK_BASE_URL", "deepseek", "/v1"),
    Variable("DEEPSEEK_API_BASE", "deepseek", "/beta"),
    Variable("XAI_API_BASE", "xai", "/v1"),
    Variable("OPENROUTER_BASE_URL", "openrouter", "/api/v1"),
    Variable("OPENROUTER_API_BASE", "openrouter", "/api/v1"),
    Variable("CEREBRAS_BASE_URL", "cerebras"),
    Variable("CEREBRAS_API_BASE", "cerebras", "/v1"),
    Variable("DEEPINFRA_BASE_URL", "deepinfra", "/v1/openai"),
    Variable("DASHSCOPE_BASE_URL", "dashscope", "/compatible-mode/v1"),
    Variable("DATABRICKS_API_BASE", "databricks", "/serving-endpoints"),
    Variable("VLLM_BASE_URL", "vllm", "/v1"),
    Variable("HOSTED_VLLM_API_BASE", "vllm", "/v1"),
    Variable("OLLAMA_HOST", "ollama"),
    Variable("OLLAMA_API_BASE", "ollama"),
)
"""A variable without a route in the settings is not set. Not here: Mistral's own SDK (it reads none), and LiteLLM's
`COHERE_API_BASE`, which must be another URL for each kind of call."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What changes for the child."""

    variables: dict[str, str]
    left_alone: tuple[tuple[str, str], ...]
    """Variables that lead where no route leads, and the host that they lead to."""
    ambiguous: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """Variables that several routes fit, none of them its provider's: the one taken, and the others."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data port is, and what stands before the route."""

    url: str
    """`http://HOST:PORT`."""
    run: str
    agent: str = ""

    def leads_here(self, given: str) -> bool:
        """Tell whether a URL is one of the data port."""
        here, there = urlsplit(self.url), urlsplit(given)
        same_host = there.hostname in (here.hostname, "localhost", "127.0.0.1")
        return same_host and _port(there.port, there.scheme) == here.port

    def with_run(self, rest: str, tenant: str = "", agent: str = "") -> str:
        """Give the URL of what follows the prefixes."""
        said = {"tenant": tenant, "agent": self.agent or agent, "run": self.run}
        words = (word.decode() for word in PREFIXES)
        prefix = "".join(f"/{word}/{said[word]}" for word in words if said[word])
        return f"{self.url}{prefix}{rest}"


def child_environment(
    place: Place,
    routes: Mapping[str, str],
    environ: Mapping[str, str],
    tags: Mapping[str, str],
    providers: Mapping[str, str] = MappingProxyType({}),
) -> Environment:
    """Say what the child's environment must have.

    `routes` maps names of routes to models to upstream URLs, `providers` those that have another provider than their name says to it.
    """
    changes: dict[str, str] = {"TACHO_RUN": place.run}
    if place.agent:
        changes["TACHO_AGENT"] = place.agent
    left, ambiguous = [], []
    for variable in VARIABLES:
        given = environ.get(variable.name, "").strip()
        fitting = _fitting(variable, _with_scheme(given), routes, providers)
        url = _url(variable, _with_scheme(given), place, routes, fitting)
        if url:
            if len(fitting) > 1 and not place.leads_here(_with_scheme(given)):
                ambiguous.append((variable.name, fitting[0], fitting[1:]))
            changes[variable.name] = url
            changes |= _tagged(variable, environ, tags)
        elif given:
            left.append((variable.name, _shown(given)))
    return Environment(changes, tuple(left), tuple(ambiguous))


def _url(
    variable: Variable,
    given: str,
    place: Place,
    routes: Mapping[str, str],
    fitting: tuple[str, ...],
) -> str:
    """Give the value of a variable, empty where it stays as it is."""
    if not given:
        known = variable.route in routes
        return place.with_run(f"/{variable.route}{variable.suffix}") if known else ""
    if place.leads_here(given):
        return _renamed(given, place)
    if not fitting:
        return ""
    name = fitting[0]
    return place.with_run(f"/{name}{given.removeprefix(routes[name].rstrip('/'))}")


def _fitting(
    variable: Variable,
    given: str,
    routes: Mapping[str, str],
    providers: Mapping[str, str],
) -> tuple[str, ...]:
    """Give the routes that lead as far as any to where a URL leads; one alone where it is the provider's own."""
    bases = {name: url.rstrip("/") for name, url in routes.items() if url}
    fit = {
        name: len(base)
        for name, base in bases.items()
        if given == base or given.startswith(base + "/")
    }
    found = sorted(name for name in fit if fit[name] == max(fit.values()))
    if variable.route in found:
        return (variable.route,)
    own = [name for name in found if providers.get(name) == variable.route]
    return tuple(own[:1] or found)


def _with_scheme(given: str) -> str:
    return given if "://" in given or not given else f"http://{given}"


def _renamed(given: str, place: Place) -> str:
    """Put the run into a URL that leads to the data port already; its route, tenant and agent stay."""
    path = urlsplit(given).path
    named = read_prefixes(path.encode("latin-1", "replace"))
    if isinstance(named, Refusal) or not all(named[0].values()):
        return given
    values, rest = named
    rest_text = "" if path.strip("/") == "" else rest.decode("latin-1")
    return place.with_run(
        rest_text, values.get(b"tenant", ""), values.get(b"agent", "")
    )


def _tagged(
    variable: Variable, environ: Mapping[str, str], tags: Mapping[str, str]
) -> dict[str, str]:
    """Give tags as headers, where the client can be told of headers."""
    if not (variable.headers and tags):
        return {}
    lines = [f"x-tacho-tag-{key}: {value}" for key, value in tags.items()]
    before = environ.get(variable.headers, "").strip()
    return {variable.headers: "\n".join([*([before] if before else []), *lines])}


def _shown(given: str) -> str:
    """Give the host of a URL, without credentials."""
    return urlsplit(_with_scheme(given)).netloc.rpartition("@")[2]


def _port(port: int | None, scheme: str) -> int:
    return port or (443 if scheme == "https" else 80)
