"""What is imported is declared, and what is declared is imported."""

import ast
import sys
import tomllib
from typing import Any

from packaging.requirements import Requirement

from tests.repo.tree import sources, text

IMPORTED_AS = {
    "PyYAML": "yaml",
    "backports.zstd": "backports",
    "chdb-core": "chdb",
}
LATER_STDLIB = {"compression"}  # of Python 3.14


def _imported() -> set[str]:
    names = set()
    for source in sources("proxy", "exporters", "dashboards"):
        for node in ast.walk(ast.parse(text(source))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    tops = {name.split(".")[0] for name in names}
    return (
        tops
        - sys.stdlib_module_names
        - LATER_STDLIB
        - {"proxy", "exporters", "dashboards"}
    )


def _declared() -> set[str]:
    project: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]
    requirements = [
        *project["dependencies"],
        *project["optional-dependencies"]["embedded"],
    ]
    names = [Requirement(requirement).name for requirement in requirements]
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}


def test_every_imported_package_is_declared():
    assert not _imported() - _declared()


def test_every_declared_package_is_imported():
    assert not _declared() - _imported()
