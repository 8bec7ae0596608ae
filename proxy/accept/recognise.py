"""Which provider a credential and a path belong to, by their own shape.

What lives here: the shapes. What does not: what follows from them (`routes.py`). A key and a prompt never go to a provider
that they were not meant for, so everything here is narrow: an unknown shape is nobody's.
"""

import re

from proxy.http.credentials import find_credentials
from proxy.http.headers import Headers

_KEYS = {
    "anthropic": re.compile(rb"sk-ant-[A-Za-z0-9_-]{8,}"),
    "openai": re.compile(
        rb"sk-(?!ant-|or-)([A-Za-z0-9_-]*T3BlbkFJ[A-Za-z0-9_-]+|(proj|svcacct|admin)-[A-Za-z0-9_-]{20,})"
    ),
    "groq": re.compile(rb"gsk_[A-Za-z0-9]{20,}"),
    "google": re.compile(rb"AIza[A-Za-z0-9_-]{30,}"),
    "openrouter": re.compile(rb"sk-or-v1-[A-Za-z0-9]{20,}"),
    "x-ai": re.compile(rb"xai-[A-Za-z0-9]{20,}"),
}
_PATHS = {
    "anthropic": re.compile(rb"/v1/(messages|models|complete)(/.*)?"),
    "openai": re.compile(
        rb"/v1/(chat/completions|completions|responses|conversations|embeddings|models|moderations|files|uploads|batches"
        rb"|images|audio|videos|realtime|fine_tuning|vector_stores|assistants|threads|evals|containers)(/.*)?"
    ),
}
OFFICIAL_HOSTS = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}
"""Hosts that are certainly one provider's own."""


def providers_of_keys(headers: Headers, query: bytes) -> frozenset[str]:
    """Give the providers whose keys the request holds, as far as shapes tell."""
    return frozenset(
        provider
        for credential in find_credentials(headers, query)
        for provider, shape in _KEYS.items()
        if shape.fullmatch(credential.secret)
    )


def provider_of_request(path: bytes, headers: Headers, query: bytes) -> str:
    """Give the one provider that both path and credentials fit, or an empty string."""
    providers = providers_of_keys(headers, query)
    if len(providers) != 1:
        return ""
    (provider,) = providers
    shape = _PATHS.get(provider)
    return provider if shape is not None and shape.fullmatch(path) else ""
