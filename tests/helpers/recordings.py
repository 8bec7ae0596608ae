"""Recorded exchanges with providers, and what their own numbers say.

What lives here: reading `tests/data` (and the whole of the recorded traffic where it is beside the checkout), and the
raw objects in which the provider says what it counted. What does not: what follows from them (`arithmetic/`).
"""

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).parents[2]
SUBSET = REPOSITORY / "tests" / "data"
ALL_TRAFFIC = REPOSITORY.parent / "shared" / "traffic"

SPINE = ("openai", "anthropic", "azure")
OTHERS = (
    "bedrock",
    "cohere",
    "deepseek",
    "gemini",
    "groq",
    "local",
    "mistral",
    "ollama",
    "openrouter",
    "other",
    "together",
    "vertex",
    "voyage",
    "writer",
)
NAMES = SPINE + OTHERS
"""The files, each named after a provider."""

_BEHIND_PORTS = {8000: "vllm", 4000: "litellm"}
"""What answered on this port where recordings were made of local servers."""

_COUNTS_IN_HEADERS = "x-amzn-bedrock-input-token-count"


@dataclass(frozen=True)
class Recording:
    """One exchange."""

    id: str
    method: str
    path: str
    request_body: bytes
    status: int
    content_type: str
    body: bytes
    streamed: bool
    usage: list[dict[str, Any]]
    provider: str
    api: str
    url: str
    query: str
    request_headers: tuple[tuple[bytes, bytes], ...]
    response_headers: tuple[tuple[bytes, bytes], ...]
    source: str
    exact: bool
    """Whether these are the bytes of the wire, and not JSON that the recorder wrote anew."""

    @property
    def route(self) -> str:
        """Give the provider that a user would name in the route."""
        if self.provider == "local":
            return _BEHIND_PORTS.get(urlsplit(self.url).port or 0, "local")
        return {"?": "portkey"}.get(self.provider, self.provider)

    @property
    def counts_in_headers(self) -> bool:
        """Whether the answer's headers say how many tokens there were."""
        return bool(self.response_header(_COUNTS_IN_HEADERS))

    def response_header(self, name: str) -> str:
        """Give the first value under a lower-case name, or nothing."""
        wanted = name.encode()
        return next(
            (v.decode() for n, v in self.response_headers if n.lower() == wanted), ""
        )


def recordings(folder: Path, *names: str) -> Iterator[Recording]:
    """Read all exchanges of these files."""
    for name in names:
        with gzip.open(folder / f"{name}.jsonl.gz") as lines:
            for line in lines:
                yield _recording(json.loads(line))


def _recording(raw: dict[str, Any]) -> Recording:
    headers = {name.lower(): value for name, value in raw["response_headers"]}
    url = urlsplit(raw["url"])
    return Recording(
        id=raw["id"],
        method=raw["method"],
        path=url.path,
        request_body=_body(raw, "request"),
        status=raw["status"],
        content_type=headers.get("content-type") or "",
        body=_body(raw, "response"),
        streamed=bool(raw["streamed"]),
        usage=raw["usage"],
        provider=raw["provider"],
        api=raw["api"],
        url=raw["url"],
        query=url.query,
        request_headers=_headers(raw["request_headers"]),
        response_headers=_headers(raw["response_headers"]),
        source=str(raw["source"]),
        exact=all(raw["exact"])
        if isinstance(raw["exact"], list)
        else bool(raw["exact"]),
    )


def _body(raw: dict[str, Any], side: str) -> bytes:
    encoded = raw.get(f"{side}_body_b64")
    return (
        base64.b64decode(encoded)
        if encoded
        else (raw.get(f"{side}_body") or "").encode()
    )


def _headers(found: list[list[str]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(
        (str(n).encode("latin-1", "replace"), str(v).encode("latin-1", "replace"))
        for n, v in found
    )
