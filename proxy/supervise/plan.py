"""Which processes make up `tacho up`, `tacho proxy` and `tacho export`.

What lives here: `Mode`, `Order`, and `children`, the list of what is run. What does not: running it (`children.py`, `supervisor.py`).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proxy.config import InForce, Settings, worker_names
from proxy.supervise.spec import PATIENT, ChildSpec

LAST_SECONDS = 2.0
"""What a worker gets beyond its drain time, to close its records."""


class Mode(StrEnum):
    """The half of the product that a supervisor runs, or all of it."""

    UP = "up"
    PROXY = "proxy"
    EXPORT = "export"

    @property
    def halves(self) -> tuple[str, ...]:
        """Name the locks that this mode holds in the data directory."""
        return ("proxy", "export") if self is Mode.UP else (self.value,)

    @property
    def socket_name(self) -> str:
        """Name the control socket: the two halves may share a data directory."""
        return "tacho-export" if self is Mode.EXPORT else "tacho"


@dataclass(frozen=True, slots=True)
class Order:
    """What a supervisor is asked to run."""

    mode: Mode
    settings: Settings
    children: Callable[[int | None], Sequence[ChildSpec]]
    """Gives the children for the data port's file descriptor, the vital ones first."""
    in_force: InForce
    """Where these read their settings."""
    environ: Mapping[str, str]
    """The children's environment."""
    reload: Callable[[], Settings]
    """Reads the settings again; raises `SettingsError`."""
    version: str = ""
    command: str = "tacho"
    """How the command line is started, as advice says it."""
    options: str = ""
    """What leads other commands to the same data."""


def children(
    mode: Mode, settings: Settings, config_path: str, data_fd: int | None
) -> list[ChildSpec]:
    """List the children in the order of their start, the vital ones first."""
    specs = []
    if mode is not Mode.EXPORT:
        assert data_fd is not None
        for name in worker_names(settings):
            specs.append(_worker(name, settings, config_path, data_fd))
    if mode is Mode.EXPORT:
        specs.append(_exporter(config_path, is_vital=True))
    if mode is not Mode.PROXY and settings.exporters.clickhouse.url == "embedded":
        specs.append(store(config_path))
    if mode is Mode.UP:
        specs.append(_exporter(config_path))
    return specs


def _worker(name: str, settings: Settings, config_path: str, data_fd: int) -> ChildSpec:
    return ChildSpec(
        name=name,
        argv=(
            *module_argv("proxy.worker", config_path),
            "--name",
            name,
            "--fd",
            str(data_fd),
        ),
        pass_fds=(data_fd,),
        stop_within_seconds=settings.timeouts.drain_seconds + LAST_SECONDS,
        watch=PATIENT,
        is_vital=True,
    )


def _exporter(config_path: str, *, is_vital: bool = False) -> ChildSpec:
    argv = module_argv("exporters.worker", config_path)
    return ChildSpec(name="exporter", argv=argv, is_vital=is_vital)


def store(config_path: str) -> ChildSpec:
    """Describe the store child, which `tacho sql` runs on its own when the product is stopped."""
    argv = module_argv("exporters.clickhouse.embedded", config_path)
    return ChildSpec(
        name="store", argv=argv, ready_within_seconds=120.0, takes_reload=False
    )


def module_argv(name: str, config_path: str) -> tuple[str, ...]:
    """Give the command line of a module of this installation; `-P` keeps the working directory out of its imports."""
    config = ("--config", config_path) if config_path else ()
    return (sys.executable, "-P", "-m", name, *config)
