"""Tenant and agent of a request, and where the agent's name comes from.

What lives here: the rungs that need no body. What does not: fingerprints of prompts, ids that agent tools send in bodies.
"""

import re
from typing import NamedTuple

from proxy.http.headers import Headers
from proxy.identify.explicit import Explicit
from proxy.model import Client

HARNESSES = {
    "claude-cli": "claude-code",
    "codex_cli_rs": "codex",
    "codex_exec": "codex",
    "codex_vscode": "codex",
    "codex-tui": "codex",
    "opencode": "opencode",
    "geminicli": "gemini-cli",
    "aider": "aider",
}
"""First product of a User-Agent → the agent that sends it."""
_PRODUCT = re.compile(rb"([A-Za-z][A-Za-z0-9._-]{1,63})(/|$|\s)")
_LIBRARIES = re.compile(
    r"(.*(python|openai|anthropic|http|java|node|fetch|axios|undici|requests|sdk|langchain|curl|wget|ruby|grpc|rust|perl"
    r"|php|dart|deno|bun|guzzle|postman|insomnia|browser|mozilla).*|agents|ai|aiobotocore|boto3|botocore|aws.*|go|got|k6"
    r"|autogen.*|pydantic-ai.*|litellm.*|llama.*|crewai.*|smolagents.*|dspy.*|cohere.*|mistral.*|groq.*|together.*"
    r"|google-genai.*|google-api.*|gl-.*|okhttp|ktor.*|reactor.*|apache.*|jakarta.*|locust|h2load|wrk|ab)"
)
"""Products that are what an agent is built with, or called with, and so name no agent."""


class Who(NamedTuple):
    """The names under which a request is counted."""

    tenant: str
    agent: str
    agent_source: str
    """`path`, `header`, `client_key`, `user_agent`, `env`, or empty with an empty agent."""


def who(
    explicit: Explicit, client: Client, headers: Headers, *, tenant: str, agent: str
) -> Who:
    """Resolve tenant and agent; `tenant` and `agent` are the installation's own. What the client may not set is passed over."""
    resolved = client.tenant or tenant
    if explicit.tenant and "tenant" in client.may_set:
        resolved = explicit.tenant
    if explicit.agent and "agent" in client.may_set:
        return Who(resolved, explicit.agent, explicit.agent_source)
    if client.agent:
        return Who(resolved, client.agent, "client_key")
    by_user_agent = agent_of_user_agent(headers.first(b"user-agent") or b"")
    if by_user_agent:
        return Who(resolved, by_user_agent, "user_agent")
    return Who(resolved, agent, "env" if agent else "")


def agent_of_user_agent(user_agent: bytes) -> str:
    """Give the agent that a User-Agent names; empty for SDKs, frameworks, HTTP libraries and what cannot be read."""
    found = _PRODUCT.match(user_agent)
    if found is None:
        return ""
    product = found[1].decode("ascii").lower()
    if product in HARNESSES:
        return HARNESSES[product]
    return "" if _LIBRARIES.fullmatch(product) else product
