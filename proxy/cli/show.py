"""`tacho show RUN`: one run as a waterfall of its steps and attempts, whether the product runs or not."""

import argparse
from typing import TYPE_CHECKING

from proxy.cli.options import add_config, add_json, as_given, as_started, load_settings
from proxy.cli.output import complain

if TYPE_CHECKING:
    from proxy.cli.questions import AttemptRow, RunRow, VerdictRow

EXAMPLE = """example:
  tacho show 0198c5f2
  tacho show nightly-42 --json | jq '.attempts[] | {step_name, seconds, usd}'
exit status: 0 shown, 1 no such run, several of them, or the store failed
"""
_CANDIDATES = 6


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "run",
        metavar="RUN",
        help="a run's id, or the beginning of one that no other run has",
    )
    add_config(parser)
    add_json(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Find the run, ask for its attempts, print them."""
    from proxy.cli import questions
    from proxy.cli.open_store import open_store

    wanted = arguments.run.removesuffix("…").removesuffix("~")
    if not wanted:
        complain("which run? list them with: tacho runs")
        return 2
    try:
        with open_store(load_settings(arguments)) as store:
            chosen = _choose(
                wanted, questions.runs(store, run=wanted, max_runs=_CANDIDATES)
            )
            rows = questions.attempts(store, chosen) if chosen else []
            verdicts = questions.verdicts(store, chosen) if chosen else []
    except questions.NoAnswerError:
        return 1
    if chosen is None:
        return 1
    if arguments.json:
        from proxy.cli.rendering import say_json

        say_json({"run": chosen, "attempts": rows, "verdicts": verdicts})
    else:
        _print(chosen, rows, verdicts, arguments)
    return 0


def _choose(wanted: str, found: "list[RunRow]") -> "RunRow | None":
    """Take the run that is meant, or say why none is."""
    exact = [row for row in found if row.run == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        complain(
            f"no run begins with {wanted}; list them with: tacho runs (a call is listed within two seconds of its end)"
        )
    elif exact:
        tenants = ", ".join(row.tenant for row in exact)
        complain(
            f"the tenants {tenants} have a run {wanted} each; ask for one with: tacho sql "
            '"SELECT * FROM steps WHERE tenant = ... AND run_id = ..."'
        )
    else:
        names = [row.run for row in found[: _CANDIDATES - 1]]
        more = " and others" if len(found) == _CANDIDATES else ""
        complain(
            f"several runs begin with {wanted}: {', '.join(names)}{more}; give more of the id"
        )
    return None


def _print(
    run: "RunRow",
    rows: "list[AttemptRow]",
    verdicts: "list[VerdictRow]",
    arguments: argparse.Namespace,
) -> None:
    from proxy.cli.rendering import Terminal
    from proxy.cli.run_header import header
    from proxy.cli.verdict_lines import stopped
    from proxy.cli.waterfall import waterfall

    terminal = Terminal()
    terminal.print(header(run, rows))
    terminal.print(
        stopped(rows, verdicts, run.root or run.run, as_started(), as_given(arguments))
    )
    if rows:
        terminal.print(waterfall(rows, terminal.width, verdicts))
    else:
        complain(
            "no call of this run passed here; does its client read one of the variables that tacho run sets? "
            f"see them with: {as_started()} run{as_given(arguments)} -- env"
        )
