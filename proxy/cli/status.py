"""`tacho status`: what is running, and how it fares."""

import argparse
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.cli.options import add_config, add_json, as_given, load_settings
from proxy.cli.output import complain, say

EXAMPLE = """example:
  tacho status
  tacho status --json | jq .processes.w0.state
exit status: 0 running (degraded or not), 1 not running
"""
SUPERVISORS = ("tacho", "tacho-export")
ANSWER_SECONDS = 5.0
_WORST_FIRST = ("unhealthy", "stopping", "degraded")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_config(parser)
    add_json(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Ask each supervisor on the data directory; 1 where there is none."""
    data_dir = Path(load_settings(arguments).settings.data_dir).absolute()
    found = asyncio.run(ask(data_dir))
    if not found:
        complain(
            f"not running on the data directory {data_dir}; start it with: tacho up{as_given(arguments)}"
        )
        return 1
    if arguments.json:
        say(json.dumps(found[0] if len(found) == 1 else joined(found), indent=2))
    else:
        _print_tables(found)
    return 0


async def ask(data_dir: Path) -> list[dict[str, Any]]:
    """Give what the supervisors say that answer: one for `tacho up`, two for `tacho proxy` and `tacho export`."""
    from proxy.control_client import ControlClient, UnreachableError

    found = []
    for name in SUPERVISORS:
        try:
            found.append(await ControlClient(data_dir, name).status(ANSWER_SECONDS))
        except UnreachableError:
            continue
    return found


def joined(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the halves into what one supervisor of both would say."""
    whole: dict[str, Any] = {}
    for half in found:
        for key, value in half.items():
            if isinstance(value, dict):
                whole[key] = whole.get(key, {}) | value
            elif isinstance(value, list):
                whole[key] = whole.get(key, []) + value
            elif whole.get(key) is None:
                whole[key] = value
    said = {half["status"] for half in found}
    worst = next((word for word in _WORST_FIRST if word in said), "ok")
    return whole | {"mode": "proxy+export", "status": worst}


def _print_tables(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    whole = found[0] if len(found) == 1 else joined(found)
    table = Table(box=None, pad_edge=False)
    for heading in (
        "process",
        "state",
        "for",
        "pid",
        "restarts",
        "memory",
        "cpu",
        "last exit",
    ):
        table.add_column(
            heading,
            justify="right"
            if heading in ("for", "pid", "restarts", "memory", "cpu")
            else "left",
        )
    for name, facts in whole["processes"].items():
        table.add_row(name, *_cells(facts))
    console = Console(highlight=False)
    console.print(
        f"tachograph {whole['version']} · {whole['status']} · {whole['data_dir']}",
        markup=False,
    )
    for key in ("listen", "admin"):
        if whole.get(key):
            console.print(f"{key:<8}{whole[key]}", markup=False)
    console.print(table)
    for trouble in troubles(whole):
        console.print(trouble, markup=False, soft_wrap=True)
    console.print(_totals(whole), markup=False)


def troubles(whole: dict[str, Any]) -> Iterator[str]:
    """Give what the processes say is wrong and the table does not show, a line each."""
    apart: dict[str, list[str]] = {}
    for name, facts in whole["processes"].items():
        says = facts["says"] or {}
        if says.get("state_trouble"):
            apart.setdefault(says["state_trouble"], []).append(name)
        if says.get("spool_trouble"):
            yield f"{name} drops records: {says['spool_trouble']}"
        if says.get("error"):
            yield f"{name} makes no rows: {says['error']}"
        for destination, fares in says.get("destinations", {}).items():
            if fares["last_error"]:
                yield f"{name} to {destination}: {fares['last_error']}"
    for trouble, names in apart.items():
        yield f"{', '.join(names)}: {trouble}; calls that it cannot place are in no run unless they name one, and pass or not as policies.on_error says"


def _cells(facts: dict[str, Any]) -> list[str]:
    running = facts["state"] == "running"
    state = "unhealthy" if running and not facts["healthy"] else facts["state"]
    colour = "green" if state == "running" else "yellow"
    memory, cpu = facts["resident_bytes"], facts["cpu_seconds"]
    return [
        f"[{colour}]{state}[/]",
        _duration(facts["since_seconds"]),
        str(facts["pid"] or ""),
        str(facts["restarts"]),
        "" if memory is None else readable_bytes(memory),
        "" if cpu is None else f"{cpu:.1f} s",
        facts["last_exit"] or "",
    ]


def _totals(whole: dict[str, Any]) -> str:
    lag = whole.get("export_lag_seconds")
    drops = {
        reason: count for reason, count in (whole.get("dropped") or {}).items() if count
    }
    parts = [
        f"in flight {whole.get('inflight') or 0:.0f}",
        f"spool {readable_bytes(whole.get('spool_bytes') or 0)}",
        "export lag unknown" if lag is None else f"export lag {lag:.1f} s",
        "nothing dropped"
        if not drops
        else "dropped "
        + ", ".join(f"{count:.0f} ({why})" for why, count in drops.items()),
    ]
    return " · ".join(parts)


def readable_bytes(count: float) -> str:
    """Write a number of bytes as people do."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _duration(seconds: float) -> str:
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days:.0f} d"
    if hours:
        return f"{hours:.0f} h"
    return f"{minutes:.0f} min" if minutes else f"{seconds:.0f} s"
