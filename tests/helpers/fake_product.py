"""A supervisor over fake children; a script, so that signals, locks and exit statuses are those of a real process.

`fake_product.py MODE [--config FILE] [--child NAME=OPTIONS]…`: the settings are read as `tacho MODE` reads them. Options go to
the child, but for `--hasty`: this child soon counts as hung. The others never do, however busy the machine is.
"""

import argparse
import asyncio
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy.child import new_event_loop
from proxy.cli.options import load_settings
from proxy.cli.serving import greet, tell
from proxy.config import InForce
from proxy.errors import SettingsError, StartError
from proxy.log import setup
from proxy.supervise.plan import Mode, Order
from proxy.supervise.plan import children as real_children
from proxy.supervise.spec import ChildSpec, Watch
from proxy.supervisor import Supervisor

FAKE_CHILD = Path(__file__).with_name("fake_child.py")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", type=Mode)
    parser.add_argument("--config")
    parser.add_argument("--child", action="append", default=[])
    arguments = parser.parse_args()
    setup("supervisor")
    options = dict(given.split("=", 1) for given in arguments.child)
    loaded = load_settings(arguments)
    data_dir = Path(loaded.settings.data_dir)

    def children(data_fd: int | None) -> Sequence[ChildSpec]:
        specs = real_children(arguments.mode, loaded.settings, loaded.path, data_fd)
        return [_fake(spec, data_dir, options.get(spec.name, "")) for spec in specs]

    order = Order(
        arguments.mode,
        loaded.settings,
        children,
        InForce(data_dir, arguments.mode.socket_name),
        loaded.environ,
        loaded.again,
        "0.test",
    )

    async def supervise() -> int:
        return await Supervisor(order, greet, tell).run()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(supervise())


def _fake(spec: ChildSpec, data_dir: Path, options: str) -> ChildSpec:
    port = ("--fd", str(spec.pass_fds[0])) if spec.pass_fds else ()
    words = shlex.split(options)
    if hasty := "--hasty" in words:
        words.remove("--hasty")
    return ChildSpec(
        name=spec.name,
        argv=(
            sys.executable,
            "-P",
            str(FAKE_CHILD),
            spec.name,
            "--data-dir",
            str(data_dir),
            *port,
            *words,
        ),
        pass_fds=spec.pass_fds,
        stop_within_seconds=spec.stop_within_seconds,
        watch=Watch(0.1, 1.0 if hasty else 60.0, 3),
        takes_reload=spec.takes_reload,
        is_vital=spec.is_vital,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SettingsError as error:
        sys.stderr.write(f"tacho: {error}\n")
        sys.exit(2)
    except StartError as error:
        sys.stderr.write(f"tacho: {error}\n")
        sys.exit(3)
