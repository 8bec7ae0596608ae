"""What a request of ClickHouse's HTTP interface says, and how an answer looks.

What lives here: credentials, parameters, settings, compression both ways, status codes; pure. What does not: serving
(`http.py`), what may be run (`statements.py`).
"""

import base64
import binascii
import gzip
import hmac
import io
import ipaddress
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Final, Literal

import brotli
import lz4.frame  # type: ignore[import-untyped, unused-ignore]
import msgspec

from exporters.clickhouse.words import words

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Role = Literal["reader", "writer"]

AUTHENTICATION_FAILED: Final = 516
TRANSPORT_KEYS: Final = words(
    """
    query database user password default_format session_id session_timeout session_check query_id quota_key compress decompress
    wait_end_of_query client_protocol_version role send_progress_in_http_headers buffer_size http_headers_progress_interval_ms
    enable_http_compression http_zlib_compression_level readonly add_http_cors_header log_queries network_compression_method
    http_write_exception_in_output_format
    """
)
"""Keys of a URL that are no settings for the engine, or mean nothing here."""

STATUSES: Final = {
    36: 400,
    38: 400,
    41: 400,
    43: 400,
    53: 400,
    62: 400,
    456: 400,
    457: 400,
    46: 404,
    47: 404,
    50: 404,
    60: 404,
    81: 404,
    115: 404,
    48: 501,
    164: 403,
    497: 403,
    159: 408,
    202: 503,
    210: 503,
    396: 413,
    516: 401,
}
"""HTTP status by ClickHouse's error code; 500 for all others."""


class Credentials(msgspec.Struct, frozen=True):
    """The two tokens; any user name goes with either."""

    read_token: str
    write_token: str

    def role(self, key: str) -> Role | None:
        """Tell whose token this is; nobody's is `None`, and so is an empty one."""
        given = key.encode()
        if self.write_token and hmac.compare_digest(given, self.write_token.encode()):
            return "writer"
        if self.read_token and hmac.compare_digest(given, self.read_token.encode()):
            return "reader"
        return None

    def __repr__(self) -> str:
        return "Credentials(…)"


class Unusable(ValueError):  # noqa: N818 - the answer to a request, not a fault
    """A body that cannot be read; `status` is the answer's."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def find_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """Give the password of a request wherever clients put it; empty where there is none."""
    if key := headers.get("X-ClickHouse-Key", ""):
        return key
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return query.get("password", "")


def parameters(query: Mapping[str, str]) -> dict[str, str]:
    """Give the values of `{name:Type}`."""
    return {k[6:]: v for k, v in query.items() if k.startswith("param_")}


def settings(query: Mapping[str, str]) -> dict[str, str]:
    """Give what the URL sets beside the keys of the transport."""
    return {
        key: value
        for key, value in query.items()
        if key not in TRANSPORT_KEYS and not key.startswith("param_")
    }


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo Content-Encoding; raise `Unusable` for broken, unknown or too large bodies."""
    try:
        plain = _inflate(body, encoding.strip().lower(), limit)
    except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
        raise Unusable(f"the body is no valid {encoding}: {error}") from error
    if len(plain) > limit:
        raise Unusable(f"the body is larger than {limit} bytes", 413)
    return plain


def _inflate(body: bytes, encoding: str, limit: int) -> bytes:
    match encoding:
        case "" | "identity":
            return body
        case "gzip":
            return zlib.decompressobj(31).decompress(body, limit + 1)
        case "deflate":
            return zlib.decompressobj().decompress(body, limit + 1)
        case "zstd":
            with zstd.open(io.BytesIO(body)) as frames:
                return frames.read(limit + 1)
        case "lz4":
            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(body, limit + 1))
        case _:
            pass
    raise Unusable(f"the Content-Encoding {encoding} is not known here", 415)


def choose_encoding(accepted: str) -> str:
    """Pick what the client takes, the cheapest first; empty for none."""
    offers = {offer.partition(";")[0].strip().lower() for offer in accepted.split(",")}
    return next(
        (e for e in ("zstd", "lz4", "gzip", "deflate", "br") if e in offers), ""
    )


def deflate(body: bytes, encoding: str) -> bytes:
    """Compress an answer; an empty encoding leaves it as it is."""
    compressors: dict[str, Callable[[bytes], bytes]] = {
        "gzip": lambda plain: gzip.compress(plain, 3),
        "deflate": lambda plain: zlib.compress(plain, 3),
        "zstd": lambda plain: zstd.compress(plain, 1),
        "lz4": lambda plain: bytes(lz4.frame.compress(plain)),
        "br": lambda plain: bytes(brotli.compress(plain, quality=3)),
    }
    return compressors[encoding](body) if encoding else body


def host_allowed(host: str, configured: str) -> bool:
    """Tell whether a Host header can only mean this machine.

    A page of a browser can make its own name point to 127.0.0.1 (DNS rebinding); then Host is that name. An address, a name
    of the loopback, and the host in the settings cannot be such a name. Off loopback every name is taken: nothing is answered
    without a token there either, and nobody can list the names that a network has for this machine.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.strip("[]").lower()
    if name == configured.lower() or name == "localhost" or name.endswith(".localhost"):
        return True
    if not is_loopback(configured):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_allowed(origin: str | None, host: str) -> bool:
    """Tell whether a page of this very origin asks, or no page at all."""
    return origin is None or origin.partition("://")[2] == host


def is_loopback(host: str) -> bool:
    """Tell whether a listen address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
