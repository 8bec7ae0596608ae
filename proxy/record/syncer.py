"""Brings written segments to the medium, beside the thread that writes them.

What lives here: the thread of the policy `interval`, and what `always` and `never` do instead. What does not: writing.
A sync may take long; the agents' records must not wait behind it, so it has a thread of its own. Only this class closes
descriptors of segments, so that none is closed while it is being synced.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from proxy.record.disk import Disk


class Syncer:
    """Syncs retired segments and the current one; counts failures instead of raising."""

    def __init__(
        self,
        directory: Path,
        disk: Disk,
        policy: Literal["always", "interval", "never"],
        interval_seconds: float,
    ) -> None:
        """`directory` holds the segments. With `always` the writer calls `sync_now` before it answers."""
        self._directory = directory
        self._disk = disk
        self._policy = policy
        self._interval_seconds = interval_seconds
        self._retired: list[int] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._dirty = False
        self.failures = 0
        """How many syncs failed; each means that a power cut could cost records."""
        self.failed = False
        """The last sync of the current segment failed: the writer must leave that segment."""

    def start(self, current: Callable[[], int | None]) -> None:
        """Begin to sync what `current` gives, every interval."""
        if self._policy == "interval":
            self._thread = threading.Thread(
                target=self._run, args=(current,), name="spool-sync", daemon=True
            )
            self._thread.start()

    def retire(self, fd: int) -> None:
        """Take a finished segment: sync it soon, then close it."""
        with self._lock:
            self._retired.append(fd)
        if self._policy != "interval":
            self._settle_retired()

    def wrote(self) -> None:
        """Hear that the current segment has news."""
        self._dirty = True

    def sync_now(self, current: int | None) -> bool:
        """Sync the current segment and all retired ones; say whether all of it worked."""
        before = self.failures
        self._settle_retired()
        if current is not None and self._dirty:
            self._dirty = False
            if not self._sync(current):
                self.failed = True
        return self.failures == before

    def close(self, current: int | None) -> None:
        """Stop the thread and sync and close everything."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if current is not None:
            with self._lock:
                self._retired.append(current)
        self._settle_retired()

    def _run(self, current: Callable[[], int | None]) -> None:
        while not self._stopping.wait(self._interval_seconds):
            self.sync_now(current())

    def _settle_retired(self) -> None:
        with self._lock:
            retired, self._retired = self._retired, []
        for fd in retired:
            if self._policy != "never":
                self._sync(fd)
            os.close(fd)

    def _sync(self, fd: int) -> bool:
        try:
            self._disk.sync(fd)
            self._disk.sync_directory(self._directory)
        except OSError:
            self.failures += 1
            return False
        return True
