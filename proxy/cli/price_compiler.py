"""Compiles a price table from the JSON that genai-prices publishes.

What lives here: reading that JSON strictly, and writing the table that `meter/prices.py` reads. What does not: fetching it
(`price_update.py`), the installed package (`scripts/compile_prices.py`). The worker never imports this.

The output depends on the input alone: one model a line, so that a new release reads as a diff.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from proxy.errors import TachoError
from proxy.units import KNOWN

DECIMALS = 18
"""Digits behind the point of a dollar price that `rates.py` keeps."""
LEAST_SECONDS = {
    ("groq", "whisper-large-v3"): 10,
    ("groq", "whisper-large-v3-turbo"): 10,
}
"""What genai-prices has in its code, not in its data: Groq bills ten seconds of audio at least."""

_MARKS = {"equals": "=", "starts_with": "^", "ends_with": "$", "contains": "*"}
_MTOK = "_mtok"
Json = Any


class PriceDataError(TachoError):
    """The data are not what genai-prices publishes; the message says where."""


@dataclass
class Compiled:
    """A table, and what is in it."""

    data: bytes
    version: str
    models: int = 0
    varied: int = 0
    """Models with prices of their own for batches or service tiers."""
    unknown_units: set[str] = field(default_factory=set)
    """Units that no call here is billed by."""


def parse(text: bytes) -> list[Json]:
    """Give the providers of published JSON: a list of them, or an object that has the list."""
    try:
        said = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError) as error:
        raise PriceDataError(f"this is not JSON: {error}") from error
    providers = said.get("providers") if isinstance(said, dict) else said
    if not isinstance(providers, list) or not providers:
        raise PriceDataError("this is JSON, but has no list of providers")
    return providers


def compile_table(
    providers: Sequence[Json], origin: str, instead_of: str = ""
) -> Compiled:
    """Write the table; `origin` begins its version, the rest of which names the content. Raises `PriceDataError`."""
    done = Compiled(b"", "")
    body = ",\n".join(_located(_provider, each, done) for each in providers)
    done.version = f"{origin}+{hashlib.sha256(body.encode()).hexdigest()[:8]}"
    head = {"version": done.version} | (
        {"instead_of": instead_of} if instead_of else {}
    )
    done.data = f'{_dump(head)[:-1]},"providers":[\n{body}\n]}}\n'.encode()
    return done


def _located(write: Any, said: Json, *more: Any) -> Any:
    """Write something that has an id; whatever is wrong in it is an error that names it."""
    name = said.get("id") if isinstance(said, dict) else said
    try:
        return write(said, *more)
    except PriceDataError as error:
        raise PriceDataError(f"{name}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise PriceDataError(f"{name}: {type(error).__name__}: {error}") from error


def _provider(said: Mapping[str, Json], done: Compiled) -> str:
    """Write one provider with its models a line each."""
    head: dict[str, Json] = {"id": _text(said["id"])}
    if said.get("provider_match"):
        head["is"] = _rule(said["provider_match"])
    if said.get("model_match"):
        head["models_like"] = _rule(said["model_match"])
    if said.get("fallback_model_providers"):
        head["falls_back_to"] = [_text(n) for n in said["fallback_model_providers"]]
    lines = [_located(_model, each, head["id"], done) for each in said["models"]]
    models = ",\n".join(_dump(line) for line in lines)
    done.models += len(lines)
    done.varied += sum("variants" in line for line in lines)
    return f'{_dump(head)[:-1]},"models":[\n{models}\n]}}'


def _model(said: Mapping[str, Json], provider: str, done: Compiled) -> dict[str, Json]:
    line: dict[str, Json] = {"id": _text(said["id"]), "is": _rule(said["match"])}
    if said.get("context_window") is not None:
        line["window"] = int(said["context_window"])
    prices = said["prices"]
    if isinstance(prices, dict):
        prices = [{"prices": prices}]
    line["prices"] = [
        {**_window(each.get("constraint")), "usd": _rates(each["prices"], done)}
        for each in prices
    ]
    variants = [
        {
            **_window(each.get("constraint")),
            "when": {_text(k): _text(v) for k, v in sorted(each["when"].items())},
            "usd": _rates(each["prices"], done),
        }
        for each in said.get("price_variants") or ()
    ]
    if variants:
        line["variants"] = variants
    least = LEAST_SECONDS.get((provider, line["id"]))
    return line | ({"least_seconds": least} if least else {})


def _rule(said: Json) -> Json:
    """Write a match clause: a marked string, a list for any-of, `{"all": […]}` for all-of."""
    ((kind, value),) = said.items()
    if kind == "or":
        return [_rule(inner) for inner in value]
    if kind == "and":
        return {"all": [_rule(inner) for inner in value]}
    if kind == "regex":
        return "~" + _text(value)
    return _MARKS[kind] + _text(value).lower()


def _rates(said: Mapping[str, Json], done: Compiled) -> dict[str, Json]:
    """Write the rates by unit; a million tokens goes without saying."""
    rates = {
        unit.removesuffix(_MTOK): _rate(price)
        for unit, price in said.items()
        if price is not None
    }
    done.unknown_units |= rates.keys() - KNOWN
    return rates


def _rate(price: Json) -> Json:
    """Write one rate: the price, or the price and what it becomes beyond so many input tokens."""
    if not isinstance(price, dict):
        return _dollars(price)
    tiers = sorted(price["tiers"], key=lambda tier: int(tier["start"]))
    steps = [[int(tier["start"]), _dollars(tier["price"])] for tier in tiers]
    return [_dollars(price["base"]), steps]


def _dollars(amount: Json) -> str:
    """Write a price exactly and without an exponent."""
    try:
        usd = Decimal(amount)
    except (InvalidOperation, TypeError) as error:
        raise PriceDataError(f"the price {amount!r} is no number") from error
    if not usd.is_finite() or usd < 0:
        raise PriceDataError(f"the price {amount} is no amount of money")
    text = format(usd.normalize(), "f")
    if len(text.partition(".")[2]) > DECIMALS:
        raise PriceDataError(
            f"the price {text} has more than {DECIMALS} decimals: widen the unit in proxy/meter/rates.py"
        )
    return text


def _window(said: Json) -> dict[str, Json]:
    """Write when a price holds."""
    if said is None:
        return {}
    if "start_date" in said:
        return {"from": date.fromisoformat(said["start_date"]).isoformat()}
    return {"daily": [_utc(said["start_time"]), _utc(said["end_time"])]}


def _utc(text: str) -> str:
    """Write a time of day in UTC; naive times are UTC already."""
    moment = time.fromisoformat(text)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (
        datetime.combine(date(1970, 1, 2), aware).astimezone(UTC).strftime("%H:%M:%S")
    )


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise PriceDataError(f"{value!r} is no text")
    return value


def _dump(value: Mapping[str, Json]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
