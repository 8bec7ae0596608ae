"""`tacho run -- CMD`: runs a command as one run: its calls pass here with the run in their path, its exit status is the outcome.

What lives here: the command's options and its course. What does not: the child's variables (`base_urls.py`), the child (`child.py`), the
report (`outcome_report.py`), the line at the end (`runs_table.py`).
"""

import argparse
import contextlib
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.cli.options import (  # fmt: skip
    Loaded,
    add_config,
    as_given,
    as_started,
    load_settings,
)
from proxy.cli.output import complain
from proxy.errors import StartError, TachoError

if TYPE_CHECKING:
    from proxy.cli.base_urls import Place
    from proxy.cli.store import Store

EXAMPLE = """example:
  tacho run -- python agent.py
  tacho run --name nightly-42 --agent researcher --tag team=blue -- npm start
  tacho run -- env | grep 4141          what the command is given
exit status: that of the command (128 + n where signal n ended it, 127 not found, 126 not executable);
  2 bad usage or settings, 3 the product does not run
"""
VISIBLE_SECONDS = 5.0
"""How long the line at the end waits for the run's last records to come to the store."""
UNREPORTED_SECONDS = 2.0
_SETTLE_SECONDS = 0.3
_TAG_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.usage = "tacho run [options] -- CMD ..."
    parser.add_argument(
        "--name",
        "--run",
        dest="run_id",
        type=_id,
        metavar="ID",
        help="the run's id (default: a new one); characters A-Z a-z 0-9 . _ : -",
    )
    parser.add_argument("--agent", type=_id, metavar="A", help="the agent's name")
    parser.add_argument(
        "--tag",
        action="append",
        type=_tag,
        default=[],
        metavar="K=V",
        help="a tag on each call of SDKs that take headers from the environment (OpenAI, Anthropic, Groq, Together)",
    )
    parser.add_argument(
        "--key-env",
        default="",
        metavar="NAME",
        help="the variable with the client key that reports the outcome (default: the first of the settings that is set)",
    )
    parser.add_argument(
        "--no-outcome",
        action="store_true",
        help="do not report the exit status: the command reports by itself",
    )
    parser.add_argument(
        "--no-summary", action="store_true", help="end without the line on stderr"
    )
    add_config(parser)
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="CMD", help="what to run"
    )
    parser.epilog = EXAMPLE


def _id(text: str) -> str:
    from proxy.model import is_id

    if not is_id(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no id; use 1 to 128 characters of A-Z a-z 0-9 . _ : -"
        )
    return text


def _tag(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    if not (_TAG_KEY.fullmatch(key) and value.isprintable() and 0 < len(value) <= 128):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no tag; write key=value, the key of a-z 0-9 . _ -"
        )
    return key, value


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit status."""
    from proxy.cli.base_urls import Place, child_environment
    from proxy.cli.child import NotStartedError, run_child
    from proxy.config import environment

    words = arguments.words
    command = words[1:] if words[:1] == ["--"] else words
    if not command:
        complain("no command; put it after --, as in: tacho run -- python agent.py")
        return 2
    loaded = load_settings(arguments)
    place = Place(
        _listening(loaded, as_given(arguments)),
        arguments.run_id or _new_id(),
        arguments.agent or "",
    )
    environ = environment()
    models = {name: each for name, each in loaded.settings.routes.items() if each.kind == "llm"}  # fmt: skip
    routes = {name: each.url for name, each in models.items()}
    providers = {name: each.provider for name, each in models.items()}
    child = child_environment(place, routes, environ, dict(arguments.tag), providers)
    for name, host in child.left_alone:
        complain(
            f"{name} leads to {host}, where no route leads: left as it is, its calls do not pass here; "
            f'add routes: {{NAME: {{url: "https://{host}"}}}} to change that'
        )
    for name, taken, others in child.ambiguous:
        complain(
            f"{name} leads where the routes {', '.join((taken, *others))} lead: its calls take /{taken}; "
            "give one of them the provider's name to change that"
        )
    began = time.monotonic()
    try:
        status = run_child(command, {**environ, **child.variables})
    except NotStartedError as error:
        complain(str(error))
        return error.status
    _conclude(arguments, loaded, place, status, time.monotonic() - began, environ)
    return status


def _listening(loaded: Loaded, options: str) -> str:
    """Give the URL of the data port that runs on this data directory."""
    from proxy.cli.quick_status import quick_status
    from proxy.cli.status import SUPERVISORS

    data_dir = Path(loaded.settings.data_dir).absolute()
    for name in SUPERVISORS:
        found = quick_status(data_dir, name)
        if found.get("listen"):
            return str(found["listen"])
    raise StartError(
        f"no proxy runs on the data directory {data_dir}; start one with: {as_started()} up{options}"
    )


def _new_id() -> str:
    import secrets

    from proxy.accept.ids import uuid7

    return uuid7(time.time_ns(), secrets.randbits(62))


def _conclude(
    arguments: argparse.Namespace,
    loaded: Loaded,
    place: "Place",
    status: int,
    seconds: float,
    environ: Mapping[str, str],
) -> None:
    """Report the outcome and say what the run took; whatever fails in that is said and changes nothing."""
    from proxy.cli.outcome_report import data_port

    event_id = ""
    try:
        if not arguments.no_outcome:
            port = data_port(loaded.settings, place.url, environ, arguments.key_env)
            event_id = port.report(
                place.with_run("/outcome").removeprefix(place.url), outcome_of(status)
            )
    except TachoError as error:
        complain(str(error))
    if not arguments.no_summary:
        outcome = "" if arguments.no_outcome else outcome_of(status)["outcome"]
        took, is_empty = _taken(loaded, place.run, event_id, seconds)
        said = ", ".join(part for part in (outcome, took) if part)
        more = (
            f"none of its calls came here: does its client read one of the variables that this shows: {as_started()} run{as_given(arguments)} -- env | grep /run/"
            if is_empty
            else f"more with: {as_started()} show {place.run}{as_given(arguments)}"
        )
        complain(f"run {place.run}: {said}; {more}")


def outcome_of(status: int) -> dict[str, str]:
    """Say how a run went by its command's exit status."""
    if status == 0:
        return {"outcome": "success", "reason": "exit status 0"}
    reason = f"exit status {status}"
    with contextlib.suppress(ValueError):
        reason = f"ended by {signal.Signals(status - 128).name}"
    return {"outcome": "failure", "reason": reason}


def _taken(
    loaded: Loaded, run_id: str, event_id: str, seconds: float
) -> tuple[str, bool]:
    """Say what the store knows of the run, once its last record is there; and whether that is no call at all."""
    from proxy.cli import questions
    from proxy.cli.figures import duration
    from proxy.cli.open_store import open_store
    from proxy.cli.runs_table import summary

    try:
        with open_store(loaded) as store:
            arrived = _wait_for(store, event_id)
            found = [
                row for row in questions.runs(store, run=run_id) if row.run == run_id
            ]
    except TachoError as error:
        complain(str(error))
        return f"command {duration(seconds)}", False
    late = "" if arrived else " so far (its last records are not in the store yet)"
    if not found:
        return f"command {duration(seconds)}{late}", arrived
    return summary(found[0], seconds) + late, arrived and not found[0].source


def _wait_for(store: "Store", event_id: str) -> bool:
    """Wait until the report, the last record of the run, is in the store; without one, as long as records usually take."""
    from proxy.cli.questions import has_event

    if not event_id:
        time.sleep(UNREPORTED_SECONDS)
        return True
    deadline = time.monotonic() + VISIBLE_SECONDS
    while time.monotonic() < deadline:
        arrived = has_event(store, event_id)
        time.sleep(_SETTLE_SECONDS)  # other tables may follow this one
        if arrived:
            return True
    return False
