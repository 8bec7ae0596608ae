"""The lock files: every package pinned with hashes, no address, and in step with pyproject.toml."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repo.tree import text

LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"]
ENTRY = re.compile(
    r"(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;]+)(?: ; [^\\\n]+)?(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)


def _project() -> dict[str, Any]:
    return tomllib.loads(text("pyproject.toml"))


def _pins(lock: str) -> dict[str, str]:
    return {found["name"]: found["version"] for found in ENTRY.finditer(text(lock))}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_is_pins_with_hashes_and_nothing_else(lock):
    assert ENTRY.sub("", text(lock)) == ""
    assert _pins(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_no_address(lock):
    assert "://" not in text(lock)
    assert " @ " not in text(lock)


def test_all_lock_files_agree_on_versions():
    all_pins = _pins("requirements-dev.lock")
    for lock in LOCKS:
        assert _pins(lock).items() <= all_pins.items(), lock


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_satisfies_what_the_project_declares(lock):
    project = _project()
    declared = project["project"]["dependencies"]
    declared += project["project"]["optional-dependencies"]["embedded"]
    if lock == "requirements-dev.lock":
        declared += [
            entry
            for entry in project["dependency-groups"]["dev"]
            if isinstance(entry, str)
        ]
    pins = _pins(lock)
    for requirement in map(Requirement, declared):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {lock}: make lock"
        assert requirement.specifier.contains(version), (
            f"{requirement} is locked at {version}: make lock"
        )


def test_heavy_packages_that_nothing_needs_stay_out():
    assert not {"pandas", "pyarrow", "numpy"} & _pins("requirements-dev.lock").keys()
