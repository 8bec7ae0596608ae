"""The data directory, and the secrets that are made in it on first start.

What lives here: making the directories (0700) and the files `secret`, `read_token` and `write_token` (0600), safely beside
another process that does the same. What does not: locks (`supervise/`), what the folders hold.
"""

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from proxy.config.structs import Settings
from proxy.errors import StartError

FOLDERS = ("run", "spool", "rows", "rows/cursors", "store", "dead")
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """What this installation keeps to itself; never shown."""

    secret: bytes = field(repr=False)
    """Keys the hashes of callers and text."""
    read_token: str = field(repr=False)
    write_token: str = field(repr=False)


def ensure_data_dir(settings: Settings) -> Secrets:
    """Make what is missing of the data directory and give its secrets; `StartError` when it cannot be used."""
    root = Path(settings.data_dir)
    try:
        _make_folders(root)
        return Secrets(
            (settings.secret or _keep(root / "secret")).encode(),
            settings.store.read_token or _keep(root / "read_token"),
            settings.store.write_token or _keep(root / "write_token"),
        )
    except OSError as error:
        where = error.filename or root
        raise StartError(
            f"data_dir {root} cannot be used: {where}: {error.strerror}; correct its permissions or set TACHO_DATA_DIR"
        ) from error


def _make_folders(root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    for folder in (root, *(root / name for name in FOLDERS)):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not folder.is_dir():
            raise NotADirectoryError(20, "is not a directory", str(folder))
    # Whoever runs this may own no directory yet be allowed to write, or the reverse: only trying tells.
    probe = root / f".probe.{os.getpid()}.{secrets.token_hex(4)}"
    _write_new(probe, b"")
    probe.unlink()


def _keep(path: Path) -> str:
    """Give the file's text, which is made if it is not there.

    The text is written under another name and linked to its own: of two processes one wins, and nobody reads half of it.
    """
    text = _read(path)
    if text is None:
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            _write_new(draft, secrets.token_hex(_SECRET_BYTES).encode())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        text = _read(path)
    if not text or not text.isascii() or not text.isprintable():
        raise StartError(
            f"{path} holds no usable text; restore it, or delete it to have a new one made"
        )
    return text


def _write_new(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> str | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, encoding="utf-8", errors="replace") as file:
        return file.read(4096).strip()
