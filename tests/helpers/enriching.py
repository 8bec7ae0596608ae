"""An enricher over a data directory, with a clock and a disk that fails on demand, to be killed and started again.

What lives here: `Bench`. What does not: making records (`spooled.py`).
"""

from pathlib import Path
from typing import Any

import msgspec

from exporters.enrich.enricher import Enricher
from exporters.row_log import RowLog, RowLogOptions, decode_frame
from tests.helpers.spooled import T0, FaultyDisk, read_all


class Bench:
    """One data directory, an enricher that can be killed and started, a clock."""

    def __init__(self, data_dir: Path) -> None:
        self.spool = data_dir / "spool"
        self.rows_dir = data_dir / "rows"
        self.disk = FaultyDisk()
        self.now = 0.0
        self.start()

    def start(self) -> None:
        self.log = RowLog(self.rows_dir, RowLogOptions(), self.disk)
        self.enricher = Enricher(self.spool, self.log, self.now, lambda: T0)

    def kill(self) -> None:
        self.enricher.close()
        self.log.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def run(self) -> None:
        while self.enricher.step(self.now):
            pass

    def rows(self, table: str = "steps") -> list[dict[str, Any]]:
        rows = []
        for payload in read_all(self.rows_dir)[0]:
            found = decode_frame(payload).tables.get(table)
            lines = found.body.splitlines() if found else []
            assert len(lines) == (found.count if found else 0)
            rows += [msgspec.json.decode(line) for line in lines]
        return rows

    def attempts(self) -> list[str]:
        return [row["attempt_id"] for row in self.rows()]
