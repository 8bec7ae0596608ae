"""The gates on coverage refuse what they should."""

import pytest

from scripts.check_coverage import CORE, Coverage, failures, read, total

WHOLE = Coverage(lines=10, all_lines=10, branches=4, all_branches=4)
CORE_FILES = [part if part.endswith(".py") else f"{part}x.py" for part in CORE]


def _files(**others: Coverage) -> dict[str, Coverage]:
    return dict.fromkeys(CORE_FILES, WHOLE) | {
        f"proxy/{name}.py": value for name, value in others.items()
    }


def test_everything_covered_passes():
    assert failures(_files(worker=WHOLE)) == []


@pytest.mark.parametrize("path", CORE_FILES)
def test_one_missing_branch_in_the_core_fails(path):
    files = _files() | {path: Coverage(10, 10, 3, 4)}
    [line] = failures(files)
    assert path in line


def test_a_part_of_the_core_that_the_report_lacks_fails():
    files = {
        path: value
        for path, value in _files().items()
        if not path.startswith("proxy/meter/")
    }
    assert any("proxy/meter/" in line for line in failures(files))


@pytest.mark.parametrize(
    "rim",
    [Coverage(1000, 1000, 500, 1000), Coverage(500, 1000, 1000, 1000)],
    ids=["branches", "lines"],
)
def test_a_proxy_with_little_coverage_fails(rim):
    [line] = failures(_files(pipeline=rim))
    assert line.startswith("proxy: more than 90 %")


def test_exactly_ninety_percent_is_not_above_it():
    only = {"proxy/pipeline.py": Coverage(90, 100, 90, 100)}
    assert any(line.startswith("proxy:") for line in failures(only))


def test_files_without_branches_count_by_their_lines():
    assert Coverage(95, 100, 0, 0).exceeds(90)
    assert Coverage(0, 0, 0, 0).is_whole()


def test_a_report_is_read_with_forward_slashes():
    summary = {
        "covered_lines": 1,
        "num_statements": 2,
        "covered_branches": 3,
        "num_branches": 4,
    }
    files = read({"files": {r"proxy\model.py": {"summary": summary}}})
    assert files == {"proxy/model.py": Coverage(1, 2, 3, 4)}
    assert str(total(files, "proxy/")) == "lines 50.00 % of 2, branches 75.00 % of 4"
