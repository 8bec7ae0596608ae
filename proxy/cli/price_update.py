"""Fetches newer prices: gets them, compiles them, and puts the table where workers look for it.

What lives here: getting bytes from a URL or a file within bounds, and the rule that the old table stays until the new one has been read whole.
What does not: the command (`prices.py`), the compiler (`price_compiler.py`), who reads the table (`pricing.py`).
"""

import ssl
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from proxy.cli.price_compiler import Compiled, PriceDataError, compile_table, parse
from proxy.config import Settings
from proxy.errors import TachoError
from proxy.meter.prices import PriceTable
from proxy.pricing import BROKEN, checked_table, table_path
from proxy.record.disk import make_directory, replace_file

PUBLISHED = "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
"""Where genai-prices' own updater looks."""
ORIGIN = "genai-prices-update"
MOST_BYTES = 32 << 20
MOST_SECONDS = 60.0
_SILENCE_SECONDS = 15.0
_PIECE_BYTES = 64 << 10


class UpdateError(TachoError):
    """There are no newer prices; those in use stay as they are."""


def update(source: str, settings: Settings) -> Compiled:
    """Get, compile, check and put in place; `UpdateError` where anything is wrong, and then nothing has changed."""
    text = (
        _fetch(source, settings)
        if source.startswith(("https://", "http://"))
        else _read(source)
    )
    try:
        done = compile_table(parse(text), ORIGIN, PriceTable.load().version)
        checked_table(done.data)
    except (PriceDataError, *BROKEN) as error:
        raise UpdateError(
            f"{source} is not price data of genai-prices ({error}); the prices in use stay as they are"
        ) from error
    path = table_path(settings.data_dir)
    try:
        make_directory(path.parent)
        replace_file(path, done.data)
    except OSError as error:
        raise UpdateError(
            f"cannot write {path}: {error.strerror}; the prices in use stay as they are"
        ) from error
    return done


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UpdateError(
            f"cannot read {name}: {reason}; correct --from (a file, or an http(s) URL)"
        ) from error
    return _bounded(name, text)


def _fetch(url: str, settings: Settings) -> bytes:
    proxies = {"http": settings.egress_proxy, "https": settings.egress_proxy}
    trust = ssl.create_default_context(cafile=settings.ca_file or None)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies if settings.egress_proxy else None),
        urllib.request.HTTPSHandler(context=trust),
    )
    deadline = time.monotonic() + MOST_SECONDS
    pieces: list[bytes] = []
    try:
        with opener.open(url, timeout=_SILENCE_SECONDS) as answer:
            while piece := answer.read(_PIECE_BYTES):
                pieces.append(piece)
                if sum(map(len, pieces)) > MOST_BYTES:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not complete after {MOST_SECONDS:.0f} seconds")
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UpdateError(
            f"cannot fetch {url}: {reason}; fetch it elsewhere and give the file with --from"
        ) from error
    return _bounded(url, b"".join(pieces))


def _bounded(name: str, text: bytes) -> bytes:
    if len(text) > MOST_BYTES:
        raise UpdateError(
            f"{name} is larger than {MOST_BYTES >> 20} MB, which no price data are; the prices in use stay as they are"
        )
    return text
