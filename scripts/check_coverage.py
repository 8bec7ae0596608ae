"""Gates on the coverage of the tests: `check_coverage.py REPORT`, where REPORT is the file of `coverage json`.

The proxy as a whole has more than 90 % of its lines and of its branches covered; the pure core has all of both. A file
of the core that no test touches counts, since `coverage` reports every file under its `source`.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORE = (
    "proxy/accept/",
    "proxy/errors.py",
    "proxy/identify/",
    "proxy/judge/",
    "proxy/meter/",
    "proxy/model/",
    "proxy/record/codec.py",
    "proxy/units.py",
)
MINIMUM_PERCENT = 90


@dataclass(frozen=True)
class Coverage:
    """Lines and branches of one or more files: covered and all of them."""

    lines: int = 0
    all_lines: int = 0
    branches: int = 0
    all_branches: int = 0

    def __add__(self, other: "Coverage") -> "Coverage":
        return Coverage(
            self.lines + other.lines,
            self.all_lines + other.all_lines,
            self.branches + other.branches,
            self.all_branches + other.all_branches,
        )

    def exceeds(self, percent: int) -> bool:
        """Whether lines and branches are both covered above this percentage."""
        return _exceeds(self.lines, self.all_lines, percent) and _exceeds(
            self.branches, self.all_branches, percent
        )

    def is_whole(self) -> bool:
        """Whether nothing is left uncovered."""
        return self.lines == self.all_lines and self.branches == self.all_branches

    def __str__(self) -> str:
        return f"lines {_percent(self.lines, self.all_lines)}, branches {_percent(self.branches, self.all_branches)}"


def _exceeds(part: int, whole: int, percent: int) -> bool:
    return not whole or 100 * part > percent * whole


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} % of {whole}" if whole else "none"


def read(report: Mapping[str, Any]) -> dict[str, Coverage]:
    """Read what `coverage json` wrote: the coverage of each file, by its path with forward slashes."""
    files = {}
    for path, file in report["files"].items():
        summary = file["summary"]
        files[path.replace("\\", "/")] = Coverage(
            summary["covered_lines"],
            summary["num_statements"],
            summary["covered_branches"],
            summary["num_branches"],
        )
    return files


def failures(files: Mapping[str, Coverage]) -> list[str]:
    """Say which gates do not hold, one line each."""
    found = [
        f"{path}: the core is covered whole, this is {coverage}"
        for path, coverage in sorted(files.items())
        if path.startswith(CORE) and not coverage.is_whole()
    ]
    missing = [
        part for part in CORE if not any(path.startswith(part) for path in files)
    ]
    found += [f"{part}: the report has no such file" for part in missing]
    proxy = total(files, "proxy/")
    if not proxy.exceeds(MINIMUM_PERCENT):
        found.append(
            f"proxy: more than {MINIMUM_PERCENT} % are asked for, this is {proxy}"
        )
    return found


def total(files: Mapping[str, Coverage], prefix: str) -> Coverage:
    """Sum the coverage of all files under the prefix."""
    return sum(
        (coverage for path, coverage in files.items() if path.startswith(prefix)),
        Coverage(),
    )


def main() -> int:
    """Print the sums and the gates that fail; 0 if none does."""
    files = read(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    for part in ("proxy/", "exporters/"):
        print(f"coverage of {part:<11} {total(files, part)}")
    found = failures(files)
    for line in found:
        print(f"coverage gate: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
