"""Which provider a credential and a path belong to, by their own shape.

What lives here: matching a request against the shapes in `proxy.providers`. What does not: what follows from them (`routes.py`). A
key and a prompt never go to a provider that they were not meant for, so an unknown shape is nobody's.
"""

from proxy.http.credentials import Credential, find_credentials
from proxy.http.headers import Headers
from proxy.providers import PROVIDERS

_SHAPES = tuple(
    (provider.name, slot, shape)
    for provider in PROVIDERS
    for slot, shape in (
        (b"", provider.key_shape),
        (provider.key_slot, provider.slot_shape),
    )
    if shape is not None
)
_PATHS = {provider.name: provider.path_shape for provider in PROVIDERS}


def owners_of_keys(headers: Headers, query: bytes) -> list[frozenset[str]]:
    """Give for each credential whose shape tells something the providers that give out such keys."""
    owners = [_owners(credential) for credential in find_credentials(headers, query)]
    return [each for each in owners if each]


def is_meant_for(provider: str, headers: Headers, query: bytes) -> bool:
    """Tell whether no credential of a request is surely another provider's."""
    return all(provider in each for each in owners_of_keys(headers, query))


def provider_of_request(path: bytes, headers: Headers, query: bytes) -> str:
    """Give the one provider that both path and all credentials fit, or an empty string."""
    owners = owners_of_keys(headers, query)
    fitting = (
        [name for name in frozenset.intersection(*owners) if _fits(name, path)]
        if owners
        else []
    )
    return fitting[0] if len(fitting) == 1 else ""


def _owners(credential: Credential) -> frozenset[str]:
    return frozenset(
        name
        for name, slot, shape in _SHAPES
        if slot in (b"", credential.slot) and shape.fullmatch(credential.secret)
    )


def _fits(provider: str, path: bytes) -> bool:
    shape = _PATHS[provider]
    return shape is not None and shape.fullmatch(path) is not None
