"""`tacho check`: reads the settings and says what they would do, or what is wrong with them."""

import argparse
import json
from typing import Any

from proxy.cli.options import add_json, add_serving, load_settings
from proxy.cli.output import say

EXAMPLE = """example:
  tacho check --config tachograph.yaml
  tacho check --json | jq .checks
exit status: 0 all is well, 1 a check failed, 2 the settings cannot be used
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_serving(parser)
    add_json(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Load, look, report; nothing is left behind."""
    from proxy.cli import checks

    loaded = load_settings(arguments, serves=True)
    results = checks.run_all(loaded.settings)
    plan = {"settings_file": loaded.path or None, **checks.plan(loaded.settings)}
    ok = all(result.ok for result in results)
    if arguments.json:
        listed = [
            {"name": result.name, "ok": result.ok, "detail": result.detail}
            for result in results
        ]
        say(json.dumps({"ok": ok, **plan, "checks": listed}, indent=2))
    else:
        _print(plan)
        for result in results:
            say(f"{'ok  ' if result.ok else 'FAIL'} {result.name}: {result.detail}")
    return 0 if ok else 1


def _print(plan: dict[str, Any]) -> None:
    say(f"settings   {plan['settings_file'] or 'defaults (no file)'}")
    for key in ("listen", "admin", "store", "data_dir"):
        say(f"{key:<10} {plan[key] or 'off'}")
    say(f"workers    {plan['workers']}, state {plan['state']}")
    say(f"exporters  {', '.join(plan['exporters']) or 'none'}")
    say("routes")
    width = max((len(route["name"]) for route in plan["routes"]), default=0)
    for route in plan["routes"]:
        say(f"  {'/' + route['name']:<{width + 2}} {route['kind']:<9} {route['url']}")
    say("")
