"""`tacho allow`: let a run go on that a limit or the pattern of a loop has stopped."""

import argparse
import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

from proxy.cli.options import add_config, add_json, as_given, load_settings
from proxy.cli.output import complain, say

EXAMPLE = """example:
  tacho allow 0199c0de-7d1a               the run's id as `tacho runs` shows it, or as the refusal names it
  tacho allow nightly-7 --tenant research
  tacho allow nightly-7 --session         forget what its session has used, too
What the run, its turns and its subagents have used is forgotten, and so are the patterns that its calls made: it gets the same
again, once. Budgets, speed limits, gates and breakers stand. The same with curl, a token being needed off loopback:
  curl -d '{"run": "nightly-7"}' http://127.0.0.1:4142/allow
exit status: 0 it may go on, 1 it is not known, or nobody could be asked
"""
ANSWER_SECONDS = 30.0
_TRIES = 2
"""A wish that has a name can be sent again: it is fulfilled once."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it")  # fmt: skip
    parser.add_argument(
        "--tenant", default="", help="whose run it is, where several have one of this name"
    )  # fmt: skip
    parser.add_argument(
        "--session", action="store_true",
        help="let its session go on, too; instead of a run's id, a session's will do",
    )  # fmt: skip
    add_config(parser)
    add_json(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Ask the supervisor on the data directory; 1 where there is none, or it says no."""
    data_dir = Path(load_settings(arguments).settings.data_dir).absolute()
    wish = {"run": arguments.run, "tenant": arguments.tenant, "session": arguments.session, "id": uuid.uuid4().hex}  # fmt: skip
    said = asyncio.run(_ask(data_dir, wish))
    if said is None:
        complain(
            f"not running on the data directory {data_dir}; start it with: tacho up{as_given(arguments)}"
        )
        return 1
    status, answer = said
    if status != 200:
        complain(answer["error"]["message"])
        return 1
    if arguments.json:
        say(json.dumps(answer, indent=2))
    else:
        _tell(answer)
    return 0


async def _ask(data_dir: Path, wish: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:  # fmt: skip
    from proxy.allowance import PATH
    from proxy.control_client import ControlClient, UnreachableError

    for _ in range(_TRIES):
        try:
            return await ControlClient(data_dir, "tacho").exchange("POST", PATH, ANSWER_SECONDS, wish)  # fmt: skip
        except UnreachableError:
            continue
    return None


def _tell(answer: dict[str, Any]) -> None:
    run, root, session = answer["run"], answer["root"], answer["session"]
    parts = [f"run {root}"] if root else []
    if root != run:
        parts = [f"run {root}, of which {run} is a part,"]
    if session:
        parts.append(f"session {session}")
    say(
        f"{' and '.join(parts)} of tenant {answer['tenant']} may go on: the same limits, with nothing used up"
    )
    if not answer["recorded"]:
        complain("it could not be written down, so that a restart would forget it; see: tacho status")  # fmt: skip
