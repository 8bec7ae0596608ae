"""Nothing that is committed knows where it was written: no package index, no path of a machine."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.repo.tree import ROOT, files, text

# Taken apart, so that this file does not name what it looks for.
REGISTRIES = re.compile(
    r"\b(?:py" + r"pi|python" + r"hosted|npm" + r"js|crates)\.(?:org|io|com)\b"
)
HOMES = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+)/")


def _foreign(name: str) -> bool:
    """Whether others wrote the text: recorded traffic is kept byte for byte."""
    return name.startswith("tests/data/")


def _texts() -> list[tuple[str, str]]:
    found = []
    for name in files():
        if not _foreign(name):
            found.append((name, (ROOT / name).read_bytes().decode("utf-8", "replace")))
    return found


def _offences(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, content in _texts()
        for number, line in enumerate(content.splitlines(), 1)
        if pattern.search(line)
    ]


def _of_this_machine() -> list[str]:
    """The addresses and places in pip's and uv's settings here, and the place of the checkout."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    settings = subprocess.run(
        command, capture_output=True, text=True, check=False
    ).stdout
    settings += " ".join(
        value for key, value in os.environ.items() if key.startswith(("PIP_", "UV_"))
    )
    words = re.findall(r"[^\s'\"=,]+", settings)
    hosts = [
        host for word in words if "://" in word and (host := urlsplit(word).hostname)
    ]
    places = [
        urlsplit(word).path for word in words if word.startswith(("file://", "/"))
    ]
    places = [
        place
        for place in [*places, str(ROOT), str(Path.home())]
        if place.count("/") > 1
    ]
    return sorted({*hosts, *places} - {"/etc/ssl/certs/ca-certificates.crt"})


@pytest.mark.parametrize("pattern", [REGISTRIES, HOMES], ids=["registries", "homes"])
def test_no_file_names_a_registry_or_a_home(pattern: re.Pattern[str]):
    assert not _offences(pattern)


def test_no_file_names_what_is_special_to_this_machine():
    special = _of_this_machine()
    pattern = re.compile("|".join(re.escape(word) + r"(?![\w-])" for word in special))
    assert not special or not _offences(pattern)


def test_no_file_is_executable_but_scripts():
    marked = [name for name in files() if os.access(ROOT / name, os.X_OK)]
    assert [name for name in marked if not text(name).startswith("#!")] == []
