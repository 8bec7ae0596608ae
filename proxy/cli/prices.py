"""`tacho prices`: what models cost here, and fetching newer prices."""

import argparse
import difflib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from proxy.cli.options import add_config, add_json, load_settings
from proxy.cli.output import complain, say

if TYPE_CHECKING:
    from proxy.config import Settings
    from proxy.meter.book import PriceBook, Terms
    from proxy.meter.rates import PriceLine, RateText

EXAMPLE = """examples:
  tacho prices show                                  which providers there are, and by which table
  tacho prices show gpt-4o --config FILE             what it costs, with the rules of these settings
  tacho prices show claude-sonnet-4-5 --route claude-eu --tenant acme --json
  tacho prices update                                fetch what genai-prices publishes today
  tacho prices update --from data.json               the same from a file
"""
SHOW_EXAMPLE = """examples:
  tacho prices show gpt-4o
  tacho prices show --provider anthropic
exit status: 0 found, 1 no such model or provider, 2 the settings cannot be used
"""
UPDATE_EXAMPLE = """examples:
  tacho prices update
  tacho prices update --from https://mirror.internal/genai-prices/data.json
  kill -HUP PID              then workers that run take the new prices
exit status: 0 updated, 1 nothing changed, 2 the settings cannot be used
"""
_UNITS = "USD for a million tokens, or for as many pieces as the unit says (kcount: a thousand)"
_NEAR = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the two commands below this one and their options."""
    parser.epilog = EXAMPLE
    below = parser.add_subparsers(dest="action", metavar="show|update", required=True)
    show = below.add_parser(
        "show",
        help="what a model costs here",
        description="Say what a model costs here, the rules of the settings included.",
        epilog=SHOW_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("model", nargs="?", default="", help="a model's name")
    show.add_argument("--provider", metavar="P", default="", help="who serves it")
    show.add_argument("--route", metavar="R", default="", help="as on this route")
    show.add_argument("--tenant", metavar="T", default="", help="as for this tenant")
    add_config(show)
    add_json(show)
    update = below.add_parser(
        "update",
        help="fetch newer prices",
        description="Fetch the prices that genai-prices publishes, and keep them in the data directory.",
        epilog=UPDATE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    update.add_argument(
        "--from",
        dest="source",
        metavar="URL|FILE",
        default="",
        help="where the data are (default: what genai-prices publishes on GitHub)",
    )
    add_config(update)
    add_json(update)


def run(arguments: argparse.Namespace) -> int:
    """Show or update."""
    settings = load_settings(arguments).settings
    if arguments.action == "update":
        return _update(arguments, settings)
    return _show(arguments, settings)


def _update(arguments: argparse.Namespace, settings: "Settings") -> int:
    from proxy.cli.price_update import PUBLISHED, update
    from proxy.pricing import find_table, table_path

    before, _ = find_table(settings.data_dir)
    done = update(arguments.source or PUBLISHED, settings)
    path = str(table_path(settings.data_dir))
    if arguments.json:
        said = {
            "version": done.version,
            "before": before.version,
            "models": done.models,
            "models_with_variants": done.varied,
            "unknown_units": sorted(done.unknown_units),
            "file": path,
        }
        say(json.dumps(said, indent=2))
        return 0
    say(f"{path}: {done.models} models, {done.varied} of them with service tiers")
    say(f"{before.version} -> {done.version}")
    if done.unknown_units:
        say(
            f"not counted by this release: {', '.join(sorted(done.unknown_units))}; a newer one may"
        )
    say("workers that run take it on SIGHUP, others when they start")
    return 0


def _show(arguments: argparse.Namespace, settings: "Settings") -> int:
    from proxy.meter.terms import Place
    from proxy.pricing import build_book, find_table

    table, trouble = find_table(settings.data_dir)
    if trouble:
        complain(f"{trouble}; shown are the prices of this release")
    provider = arguments.provider
    if arguments.route:
        if arguments.route not in settings.routes:
            complain(
                f"there is no route {arguments.route}; there are {', '.join(settings.routes)}"
            )
            return 1
        provider = (
            provider or settings.routes[arguments.route].provider or arguments.route
        )
    book = build_book(settings, table)
    if not arguments.model:
        return _list(arguments, book, provider)
    tenant = arguments.tenant or settings.tenant
    place = Place(provider, arguments.model, tenant, arguments.route)
    terms = book.terms(place)
    if arguments.json:
        said = {"model": arguments.model, "provider": provider, **_as_json(terms)}
        say(json.dumps(said, indent=2))
    else:
        for line in _as_text(arguments.model, provider, terms):
            say(line)
        if settings.prices and not provider:
            say(
                "(your rules in prices: may name a provider: add --provider or --route)"
            )
    if terms.is_unknown:
        near = _near(book, provider, arguments.model)
        hint = f"did you mean {', '.join(near)}?" if near else "nothing is named alike."
        remedy = (
            "name --provider, give it rates in prices:, or run `tacho prices update`"
        )
        complain(f"{arguments.model} is not in the price table; {hint} Else {remedy}")
    return 1 if terms.is_unknown else 0


def _list(arguments: argparse.Namespace, book: "PriceBook", provider: str) -> int:
    from proxy.providers import price_id

    names = book.table.names()
    if not provider:
        counts = {name: len(models) for name, models in names.items()}
        if arguments.json:
            say(json.dumps({"version": book.table.version, "providers": counts}))
            return 0
        say(book.table.version)
        for name, count in counts.items():
            say(f"  {name:<24} {count:>5} models")
        return 0
    models = names.get(price_id(provider)) or names.get(provider)
    if models is None:
        near = difflib.get_close_matches(provider, names, n=_NEAR, cutoff=0.4)
        known = ", ".join(near or sorted(names))
        complain(f"the price table has no provider {provider}; there are {known}")
        return 1
    if arguments.json:
        said = {"version": book.table.version, "provider": provider, "models": models}
        say(json.dumps(said))
        return 0
    for name in models:
        say(name)
    return 0


def _as_json(terms: "Terms") -> dict[str, Any]:
    said = json.loads(terms.as_json())
    return {
        "cost_source": str(terms.source),
        "price_version": terms.version,
        "known_as": said.pop("model", None),
        "prices": [],
        **said,
    }


def _as_text(model: str, provider: str, terms: "Terms") -> Iterable[str]:
    where = f" of {provider}" if provider else ""
    known = f", known as {terms.known_as}" if terms.known_as not in ("", model) else ""
    yield f"{model}{where}{known}: {terms.source}" + (
        f" by {terms.version}" if terms.version else ", its cost is NULL"
    )
    if terms.prices:
        yield _UNITS
    for line in terms.prices:
        yield from _line(line)
    for line in terms.variants:
        yield from _line(line)
    if terms.least_seconds:
        yield f"audio is billed as {terms.least_seconds} seconds at least"


def _line(line: "PriceLine") -> Iterable[str]:
    conditions = [f"{word}: {value}" for word, value in line.when.items()]
    if line.start:
        conditions.append(f"from {line.start} (UTC)")
    if line.daily:
        conditions.append(f"daily {line.daily[0]} to {line.daily[1]} (UTC)")
    if conditions:
        yield ", ".join(conditions)
    for unit, rate in line.usd.items():
        yield f"  {unit:<32} {_rate(rate)}"


def _rate(rate: "RateText") -> str:
    if isinstance(rate, str):
        return rate
    base, steps = rate
    return base + "".join(
        f", beyond {start} input tokens {usd}" for start, usd in steps
    )


def _near(book: "PriceBook", provider: str, model: str) -> list[str]:
    """Give names of models like this one: of the provider, or with their providers."""
    from proxy.providers import price_id

    names = book.table.names()
    own = names.get(price_id(provider)) or names.get(provider)
    if own is not None:
        return difflib.get_close_matches(model, own, n=_NEAR, cutoff=0.5)
    all_names = sorted({name for models in names.values() for name in models})
    return difflib.get_close_matches(model, all_names, n=_NEAR, cutoff=0.6)
