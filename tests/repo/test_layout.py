"""Each source has its test beside it in the mirror tree, and nothing grows beyond what one can read at once."""

import ast
from pathlib import PurePosixPath

from tests.repo.tree import files, sources, text

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 45
MAX_TEST_FILE_LINES = 600
MAX_TEST_FUNCTION_LINES = 80
"""Tests hold tables of cases and scripts of conversations, which splitting does not make easier to read."""

COVERED_ELSEWHERE: dict[str, str] = {
    "proxy/model/exchange.py": "declarations only; each dialect fills them",
    "proxy/model/words.py": "declarations only; tests/repo holds them to the schema",
    "proxy/accept/refusal.py": "declarations only; test_routes.py and test_clients.py make each of them",
    "proxy/config/route_checks.py": "part of all checks; test_checks.py has its tables",
    "proxy/config/structs.py": "declarations only; test_loader.py reads each of them",
    "proxy/desk.py": "declarations only; test_ledger.py replaces each of them",
    "proxy/simulate/question.py": "declarations only; each family fills them",
    "proxy/identify/changes.py": "what the rungs find later; test_ladder.py shows each of them",
    "proxy/identify/fits.py": "test_continuation.py and test_ladder.py choose among calls by it",
    "proxy/identify/sessions.py": "test_ladder.py lets time pass between calls",
    "proxy/state/redis_scripts.py": "test_redis_state.py runs them in a server of Python, and compares them with memory",
    "proxy/govern/court.py": "declarations only; test_tab.py holds it",
    "proxy/judge/case.py": "declarations only; test_bench.py judges them",
    "proxy/judge/verdict.py": "declarations only; test_bench.py makes each of them",
    "proxy/forward/origin.py": "declarations only; test_pool.py shows which origins share connections",
}
"""Sources without a test file of their own, and the reason (say which test covers them)."""

TOO_LONG: dict[str, str] = {
    "proxy/admission.py:identify": "one call with a line for each field of the record",
}
"""Files, or functions as `path:name`, beyond the limits, and the reason."""


def _test_of(source: str) -> str:
    path = PurePosixPath(source)
    return f"tests/{path.parent}/test_{path.stem.strip('_')}.py"


def _wanting_tests() -> list[str]:
    found = sources("proxy", "exporters")
    return [name for name in found if not name.endswith("/__init__.py")]


def test_every_source_file_has_its_test_file():
    present = set(files())
    untested = {name for name in _wanting_tests() if _test_of(name) not in present}
    missing = sorted(_test_of(name) for name in untested - COVERED_ELSEWHERE.keys())
    assert not missing


def test_every_test_file_of_the_mirror_tree_has_its_source():
    """A source may have further test files, `test_<source>_<theme>.py`."""
    known = {_test_of(name) for name in sources("proxy", "exporters")}
    known |= _tests_of_packages()
    stems = tuple(name.removesuffix(".py") + "_" for name in known)
    mirror = sources("tests/proxy", "tests/exporters")
    tests = {name for name in mirror if PurePosixPath(name).name.startswith("test_")}
    assert not sorted(name for name in tests - known if not name.startswith(stems))


def _tests_of_packages() -> set[str]:
    packages = [
        name for name in sources("proxy", "exporters") if name.endswith("__init__.py")
    ]
    parents = [PurePosixPath(name).parent for name in packages]
    return {f"tests/{parent}/test_{parent.name}.py" for parent in parents}


def test_no_exception_is_stale():
    present = set(files())
    tested = [name for name in COVERED_ELSEWHERE if _test_of(name) in present]
    gone = [name for name in COVERED_ELSEWHERE if name not in present]
    gone += [name for name in TOO_LONG if name.split(":")[0] not in present]
    assert not tested + gone


def test_no_python_file_is_longer_than_the_limit():
    python = sources("proxy", "exporters", "dashboards", "scripts", "bench", "tests")
    lengths = {name: len(text(name).splitlines()) for name in python}
    long = {
        name: length
        for name, length in lengths.items()
        if length > _limit(name, MAX_FILE_LINES, MAX_TEST_FILE_LINES)
        and name not in TOO_LONG
    }
    assert not long


def test_no_function_is_longer_than_the_limit():
    long = {}
    for name in sources(
        "proxy", "exporters", "dashboards", "scripts", "bench", "tests"
    ):
        limit = _limit(name, MAX_FUNCTION_LINES, MAX_TEST_FUNCTION_LINES)
        for node in ast.walk(ast.parse(text(name))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            key = f"{name}:{node.name}"
            if length > limit and key not in TOO_LONG:
                long[key] = length
    assert not long


def _limit(name: str, product: int, tests: int) -> int:
    return tests if name.startswith("tests/") else product


def test_every_package_says_what_it_is_for():
    present = set(files())
    folders = {
        PurePosixPath(name).parent
        for name in sources("proxy", "exporters", "dashboards")
    }
    assert not sorted(
        f"{folder}/__init__.py"
        for folder in folders
        if f"{folder}/__init__.py" not in present
    )
