"""Options that several commands share, and the settings that they lead to.

What lives here: `--config` and the few flags that override settings. What does not: reading settings (`proxy/config.py`), options
of one command (its file).
"""

import argparse
import os
import sys
from dataclasses import dataclass
from shlex import quote
from shutil import which
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.config import Settings

PROGRAM = "tacho"
DEFAULT_FILE = "tachograph.yaml"
FLAGS = {"listen": "listen", "admin_listen": "admin.listen", "data_dir": "data_dir"}
"""Attribute of the parsed arguments -> the setting that it overrides."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and how a child process comes to the same."""

    settings: "Settings"
    path: str
    """The absolute path of the settings file; empty where there is none."""
    environ: dict[str, str]
    """The environment with the flags in it."""
    serves: bool = False
    """Whether workers are to run by these settings."""

    def again(self) -> "Settings":
        """Read the same file again."""
        from proxy.config import check_shared, load

        settings = load(self.path or None, self.environ)
        if self.serves:
            check_shared(settings)
        return settings


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--data-dir`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="settings (default: $TACHO_CONFIG, else ./tachograph.yaml where it exists, else none)",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="where records, rows and the store are kept (default: .tacho)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument(
        "--json", action="store_true", help="answer in JSON, for programs"
    )


def add_serving(parser: argparse.ArgumentParser) -> None:
    """Add what `up`, `proxy` and `export` take."""
    add_config(parser)
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="the data port (default: 127.0.0.1:4141; port 0: any)",
    )
    parser.add_argument(
        "--admin-listen",
        metavar="HOST:PORT",
        help="the admin port (default: 127.0.0.1:4142; port 0: any)",
    )


def as_given(arguments: argparse.Namespace) -> str:
    """Give the options that lead another command to the same place, to stand behind it in advice."""
    given = {"--config": arguments.config, "--data-dir": arguments.data_dir}
    return "".join(f" {name} {quote(value)}" for name, value in given.items() if value)


def as_started() -> str:
    """Give the words that start this command line again, as they were typed: advice is there to be copied."""
    typed = sys.argv[0]
    name = os.path.basename(typed)
    if name == "__main__.py":
        return f"{quote(sys.executable)} -m proxy"
    if name != PROGRAM or typed == which(PROGRAM):
        return PROGRAM
    return quote(typed)


def load_settings(arguments: argparse.Namespace, *, serves: bool = False) -> Loaded:
    """Read the settings as the flags, the environment and the file say, for workers if these are to run; raise `SettingsError`."""
    from proxy.config import as_environment, check_shared, environment, load

    given = {key: getattr(arguments, flag, None) for flag, key in FLAGS.items()}
    flags = {key: value for key, value in given.items() if value is not None}
    environ = dict(environment())
    path = (
        arguments.config
        or environ.get("TACHO_CONFIG")
        or (DEFAULT_FILE if os.path.exists(DEFAULT_FILE) else "")
    )
    path = os.path.abspath(path) if path else ""
    settings = load(path or None, environ, flags)
    if serves:
        check_shared(settings)
    return Loaded(settings, path, environ | as_environment(flags), serves)
