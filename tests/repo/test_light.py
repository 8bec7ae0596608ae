"""What is not imported: the command's help is quick, and the process that agents wait for is small."""

import subprocess
import sys

import pytest

from tests.repo.tree import ROOT


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def imported_for_help() -> set[str]:
    lines = _python("-X", "importtime", "-m", "proxy", "--help").stderr.splitlines()
    return {
        line.split("|")[-1].strip().split(".")[0]
        for line in lines
        if line.startswith("import time:")
    }


@pytest.fixture(scope="module")
def imported_by_worker() -> set[str]:
    modules = _python(
        "-c", "import proxy.worker, sys; print(*sys.modules)"
    ).stdout.split()
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("package", ["aiohttp", "chdb", "clickhouse_connect", "yaml"])
def test_help_does_not_import(package, imported_for_help):
    assert "proxy" in imported_for_help
    assert package not in imported_for_help


@pytest.mark.parametrize("command", ["run", "runs", "show"])
def test_what_must_be_quick_imports_no_http_stack(command):
    parts = f"from proxy.cli import {command}, open_store, questions, quick_status"
    modules = _python("-c", f"{parts}; import sys; print(*sys.modules)").stdout.split()
    assert not {"aiohttp", "asyncio", "chdb"} & {*modules}


@pytest.mark.parametrize(
    "package",
    [
        "chdb",
        "clickhouse_connect",
        "exporters",
        "genai_prices",
        "numpy",
        "opentelemetry",
        "pandas",
        "prometheus_client",
        "rich",
        "tiktoken",
    ],
)
def test_the_worker_does_not_import(package, imported_by_worker):
    assert "proxy" in imported_by_worker
    assert package not in imported_by_worker
