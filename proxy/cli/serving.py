"""What `tacho up`, `tacho proxy` and `tacho export` have in common.

What lives here: from the parsed arguments to a running supervisor. What does not: the supervisor (`proxy/supervisor.py`).
"""

import argparse
import asyncio
import contextlib
import importlib.metadata
import sys
from functools import partial
from pathlib import Path

from proxy.child import new_event_loop
from proxy.cli.options import Loaded, as_given, as_started, load_settings
from proxy.cli.output import say_exactly
from proxy.config import InForce, Secrets, Settings, read_keys
from proxy.log import setup
from proxy.preflight import require_c_parser
from proxy.supervise.banner import Banner
from proxy.supervise.plan import Mode, Order, children
from proxy.supervisor import Supervisor


def serve(mode_name: str, arguments: argparse.Namespace) -> int:
    """Run a supervisor until it has stopped; give its exit status."""
    require_c_parser()
    mode = Mode(mode_name)
    setup("supervisor")
    loaded = load_settings(arguments, serves=mode is not Mode.EXPORT)
    in_force = InForce(Path(loaded.settings.data_dir), mode.socket_name)
    order = Order(
        mode=mode,
        settings=loaded.settings,
        children=partial(children, mode, loaded.settings, str(in_force.path)),
        in_force=in_force,
        environ=loaded.environ,
        reload=partial(_again, loaded),
        version=version(),
        command=as_started(),
        options=as_given(arguments),
    )
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_supervise(order))


def _again(loaded: Loaded) -> Settings:
    """Read the settings again, as strictly as those who are to work by them; raise `SettingsError`."""
    settings = loaded.again()
    if loaded.serves:
        from proxy.pricing import build_book, find_table
        from proxy.wiring import build_snapshot

        build_snapshot(settings, read_keys(settings, loaded.environ), Secrets(b"", "", ""))  # fmt: skip
        build_book(settings, find_table(loaded.settings.data_dir)[0])
    return settings


def version() -> str:
    """Give the version of the installed product."""
    try:
        return importlib.metadata.version("tachograph")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def greet(banner: Banner) -> None:
    """Print the banner, with colours where a person reads it."""
    with contextlib.suppress(OSError):  # nobody reads: serving goes on
        say_exactly(banner.text(sys.stdout.isatty()))


def tell(line: str) -> None:
    """Print a line on what happens; on a terminal below the ^C that it shows."""
    with contextlib.suppress(OSError):  # as above
        say_exactly(f"\r{line}\n" if sys.stdout.isatty() else f"{line}\n")


async def _supervise(order: Order) -> int:
    return await Supervisor(order, greet, tell).run()
