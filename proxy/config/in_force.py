"""The settings in force, as a file that child processes read.

What lives here: writing that file. What does not: reading it (`loader.py`, as any other), when settings come into force (`proxy/supervisor.py`).

A child that is started again must not find what somebody has written into the settings file meanwhile and nobody has reloaded: its
neighbours work by the settings before. So all children read a copy, whole and checked, which changes when the settings do.
"""

import contextlib
import os
from pathlib import Path

import msgspec
import yaml

from proxy.config.structs import Settings
from proxy.errors import StartError


class InForce:
    """One supervisor's copy."""

    def __init__(self, data_dir: Path, name: str) -> None:
        """`name` is the supervisor's: two may share a data directory."""
        self.path = data_dir.absolute() / "run" / f"settings.{name}.yaml"

    def write(self, settings: Settings) -> None:
        """Replace the copy, for its owner's eyes only, since it holds what the environment gave; `StartError` where that fails."""
        text = yaml.safe_dump(msgspec.to_builtins(settings), allow_unicode=True)
        try:
            self._replace(text)
        except OSError as error:
            raise StartError(
                f"{self.path} cannot be written: {error.strerror}; correct the permissions of data_dir, or its disk"
            ) from error

    def _replace(self, text: str) -> None:
        draft = self.path.with_name(f".{self.path.name}")
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(self.path)

    def remove(self) -> None:
        """Take it away; whoever still runs has read it."""
        self.path.unlink(missing_ok=True)
