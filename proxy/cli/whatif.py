"""`tacho whatif`: which runs other settings would have stopped, where, and what that would have saved."""

import argparse
from typing import TYPE_CHECKING

from proxy.cli.options import add_config, add_json, as_given, load_settings
from proxy.cli.output import complain
from proxy.cli.policy_flags import add_flags, policies_of
from proxy.cli.runs import limit, since

if TYPE_CHECKING:
    from proxy.cli.options import Loaded
    from proxy.cli.store import Store
    from proxy.cli.whatif_found import Found, Outcomes
    from proxy.judge.settings import PolicySettings

EXAMPLE = """example:
  tacho whatif                                       if all that only observes enforced
  tacho whatif --caps steps=20,cost_usd=5            with these caps instead
  tacho whatif --caps turn.steps=10 --agent researcher --since 4w
  tacho whatif --set policies.repeat.block=5 --json | jq '.stopped[] | {run, step, policy}'
  tacho whatif --config other.yaml --data-dir .tacho --enforced-only
exit status: 0 answered, 1 refused or failed, 2 settings or flags that cannot be
"""
_SECONDS = 7 * 86_400
_US = 1_000_000
_MOST_RUNS = 100_000
"""Of so many, the latest, it is asked how they went: a store bounds what one answer may have."""
_SLACK_SECONDS = 60
"""The store's clock may differ from this machine's."""
_SEED = 1
"""Accounts of a replay live in this process alone: nobody can guess at them from outside."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_flags(parser)
    parser.add_argument(
        "--enforced-only",
        action="store_true",
        help="ask the policies whose mode is enforce; without, those that observe are asked, too",
    )
    parser.add_argument(
        "--since",
        type=since,
        default=None,
        metavar="SPAN",
        help="as if the settings had begun to hold so long ago: 90s, 30m, 1h, 7d, 4w (default: 7d; with --run its begin)",
    )
    parser.add_argument("--agent", default="", metavar="A", help="runs with a call of this agent only")  # fmt: skip
    parser.add_argument("--tenant", default="", metavar="T", help="of this tenant only")
    parser.add_argument("--run", default="", metavar="RUN", help="runs whose id begins with this only")  # fmt: skip
    parser.add_argument(
        "--limit", type=limit, default=20, metavar="N", help="as many runs in the table at most (default: 20)"
    )  # fmt: skip
    add_config(parser)
    add_json(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Read the calls, replay them, say what was found."""
    from proxy.cli import questions
    from proxy.cli.open_store import open_store

    arguments.run = arguments.run.removesuffix("…").removesuffix("~")
    loaded = load_settings(arguments)
    policies = policies_of(loaded.settings, arguments.caps, arguments.set)
    try:
        with open_store(loaded) as store:
            found = _found(arguments, loaded, policies, store)
    except questions.NoAnswerError:
        return 1
    if arguments.json:
        from proxy.cli.rendering import say_json

        say_json(found)
    elif found.calls.calls or found.refused_before:
        from proxy.cli.rendering import Terminal
        from proxy.cli.whatif_report import report

        terminal = Terminal()
        terminal.print(report(found, terminal.width, arguments.limit))
    else:
        _complain_of_none(arguments)
    return 0


def _found(
    arguments: argparse.Namespace, loaded: "Loaded", policies: "PolicySettings", store: "Store"
) -> "Found":  # fmt: skip
    from proxy.cli.whatif_calls import read_calls
    from proxy.cli.whatif_found import found_of, meant
    from proxy.replay.policies import asked, begin_us, left_out
    from proxy.replay.replayer import Replayer
    from proxy.wiring import terms_of

    settings = loaded.settings
    since_us = _since_us(arguments, store)
    rules = asked(policies, "enforced" if arguments.enforced_only else "all")
    replayer = Replayer(rules, terms_of(settings, _SEED), settings.limits.max_accounts, since_us)  # fmt: skip
    read_calls(store, replayer.take, tenant=arguments.tenant, since_us=since_us, history_us=begin_us(rules, since_us))  # fmt: skip
    is_meant = meant(arguments.agent, arguments.run)
    tallies = [each for each in replayer.tallies.values() if is_meant(each)]
    outcomes = _outcomes(store, since_us) if tallies else {}
    return found_of(tallies, since_us, outcomes, left_out(policies))


def _since_us(arguments: argparse.Namespace, store: "Store") -> int:
    from proxy.cli import questions

    if arguments.run and arguments.since is None:
        runs = questions.runs(store, run=arguments.run, max_runs=_MOST_RUNS)
        if runs:
            return int(min(row.started for row in runs).timestamp() * _US) - _US
    return int((_now() - (arguments.since or _SECONDS)) * _US)


def _outcomes(store: "Store", since_us: int) -> "Outcomes":
    from proxy.cli import questions

    span = _now() - since_us / _US + _SLACK_SECONDS
    rows = questions.runs(store, since_seconds=round(span), max_runs=_MOST_RUNS)
    return {(row.tenant, row.run): (row.outcome, row.outcome_source == "reported") for row in rows}  # fmt: skip


def _now() -> float:
    import time

    return time.time()  # noqa: TID251  # what is long ago is so for who asks


def _complain_of_none(arguments: argparse.Namespace) -> None:
    given = (("of the agent", arguments.agent), ("of the tenant", arguments.tenant), ("in a run", arguments.run))  # fmt: skip
    of = "".join(f" {words} {name}" for words, name in given if name)
    complain(
        f"no call{of} in this time; list runs with: tacho runs{as_given(arguments)}, or look further back with --since 4w"
    )
