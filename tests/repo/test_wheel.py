"""The wheel: built from the tree without network, complete, and usable where nothing else of the checkout is."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.repo.tree import ROOT, files

pytestmark = [pytest.mark.big, pytest.mark.timeout(300)]


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _pip(*arguments: str | Path, cwd: Path) -> str:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")
    return _run(sys.executable, "-m", "pip", *arguments, *quiet, cwd=cwd)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")  # building leaves files behind
    for name in files():
        if not name.startswith("tests/"):
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    _pip("wheel", "--no-build-isolation", "--wheel-dir", tree / "dist", ".", cwd=tree)
    [built] = (tree / "dist").glob("tachograph-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with this wheel alone; dependencies come from the environment of the tests."""
    place = tmp_path_factory.mktemp("installed")
    _run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    python = place / "venv/bin/python"
    _pip("--python", python, "install", wheel, cwd=place)
    purelib = _run(
        python,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=place,
    )
    # A path that comes from a .pth file has its own .pth files ignored: the editable install stays outside.
    Path(purelib.strip(), "dependencies.pth").write_text(
        sysconfig.get_path("platlib") + "\n"
    )
    return place


def test_the_wheel_holds_all_sources_and_data_files(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        name
        for name in files()
        if name.startswith(("proxy/", "exporters/", "dashboards/"))
        and name.endswith((".py", ".typed", ".json", ".sql"))
    }
    assert wanted <= packed
    assert any(
        name.startswith("proxy/meter/") and name.endswith(".json") for name in packed
    )
    assert any(name.startswith("dashboards/queries/") for name in packed)


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "proxy",
        "exporters",
        "dashboards",
    }


def test_the_wheel_names_its_licence(wheel):
    archive = zipfile.ZipFile(wheel)
    [metadata] = (name for name in archive.namelist() if name.endswith("/METADATA"))
    assert "License-Expression: Apache-2.0\n" in archive.read(metadata).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())


@pytest.mark.parametrize("module", ["proxy.worker", "exporters.worker", "dashboards"])
def test_the_installed_wheel_imports(module, installed):
    code = f"import {module}, sys; print(sys.modules[{module!r}].__file__)"
    origin = _run(installed / "venv/bin/python", "-c", code, cwd=installed)
    assert Path(origin.strip()).is_relative_to(installed)


def test_the_installed_command_runs(installed):
    assert "tacho" in _run(installed / "venv/bin/tacho", "--help", cwd=installed)
