"""The files of the checkout, as the tests of the repository see them."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LEFT_BY_TOOLS = {
    ".git",
    ".venv",
    ".tacho",
    "build",
    "dist",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".import_linter_cache",
    ".hypothesis",
}


def files() -> list[str]:
    """List what is, or would be, committed: paths below the root, with forward slashes."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(
            command, cwd=ROOT, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return _walk()  # an unpacked archive, or no git here
    names = listed.decode().split("\0")
    return sorted(name for name in names if name and (ROOT / name).is_file())


def _walk() -> list[str]:
    below = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(
        path.as_posix() for path in below if not _LEFT_BY_TOOLS & set(path.parts)
    )


def sources(*folders: str) -> list[str]:
    """List the Python files below these folders."""
    starts = tuple(f"{folder}/" for folder in folders)
    return [
        name for name in files() if name.startswith(starts) and name.endswith(".py")
    ]


def text(name: str) -> str:
    """Read a file of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")
