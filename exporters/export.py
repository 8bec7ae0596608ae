"""The work of the exporter process: the enricher in a thread, each destination in a task, all over one data directory.

What lives here: the loops, their wake-ups, draining and stopping, and what status and metrics say. What does not: the
process around it and which destinations there are (`worker.py`), the work itself (`enrich/`, `delivery.py`).

From an answer's end to its row in the log: at most POLL_SECONDS; to the destination: its linger on top.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exporters.delivery import CLOSE_SECONDS, Delivery, Exporter, in_thread
from exporters.enrich.enricher import Enricher
from exporters.prometheus import Meters
from exporters.row_log import RowLog, RowLogOptions
from proxy.errors import StartError, TachoError
from proxy.record.batches import measure

logger = logging.getLogger("tacho.exporter")

POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0
CLEAN_SECONDS = 5.0
FLUSH_SECONDS = 5.0
"""How long destinations may take for what is pending when the process is asked to stop; the row log keeps the rest.

With CLOSE_SECONDS it stays below what the supervisor waits before it kills.
"""


@dataclass(frozen=True, slots=True)
class _View:
    """The enricher's state as the loop may read it while the thread works."""

    pending: int = 0
    unripe: int = 0
    caught_up: bool = False
    rows_made: int = 0
    counts: tuple[tuple[str, int], ...] = ()
    losses: tuple[tuple[str, int], ...] = ()
    refused: tuple[str, ...] = ()
    row_log_bytes: int = 0
    spool_bytes: int = 0
    forced_bytes: int = 0
    dead_letters: int = 0
    error: str = ""


class Export:
    """Everything behind the spool of one data directory; exactly one such object may exist for it."""

    def __init__(
        self,
        data_dir: Path,
        exporters: Mapping[str, Exporter],
        options: RowLogOptions,
        *,
        clock: Callable[[], float],
        now_us: Callable[[], int],
    ) -> None:
        """Opens the row log; raises `StartError` when another exporter has it or it cannot be read."""
        self._data_dir = data_dir
        self._clock, self._now_us = clock, now_us
        self._row_log = RowLog(data_dir / "rows", options)
        try:
            self._enricher = Enricher(
                data_dir / "spool", self._row_log, clock(), now_us
            )
            self._deliveries = [
                Delivery(name, each, data_dir, self._row_log.id)
                for name, each in exporters.items()
            ]
        except TachoError as error:
            self._row_log.close()
            raise StartError(str(error)) from error
        self._meters = Meters()
        self._view = _View()
        self._cleaned_at = float("-inf")

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping`, then save, deliver what can be delivered in FLUSH_SECONDS, and close."""
        await self._work(stopping.wait)

    async def drain(self, stopping: asyncio.Event) -> None:
        """Work until everything is in rows and everywhere, or until `stopping`."""

        async def done() -> None:
            while not self._is_drained():
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await stopping.wait()
                        return
                except TimeoutError:
                    continue

        await self._work(done)

    async def _work(self, until: Callable[[], Any]) -> None:
        deliveries: list[asyncio.Task[None]] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                deliveries += [
                    tasks.create_task(each.run(), name=f"deliver-{each.name}")
                    for each in self._deliveries
                ]
                enricher = tasks.create_task(self._enrich(), name="enrich")
                await until()
                enricher.cancel()
                await asyncio.wait([enricher])
                await self._flush()
                for task in deliveries:
                    task.cancel()
                if deliveries:
                    await asyncio.wait(deliveries, timeout=CLOSE_SECONDS)
        finally:
            self._enricher.close()
            self._row_log.close()

    async def _flush(self) -> None:
        try:
            await in_thread(lambda: self._enricher.step(self._clock()))
            await in_thread(lambda: self._enricher.flush(self._clock()))
        except OSError as error:
            logger.warning(
                "row_log_write_failed", extra={"detail": {"errno": error.errno or 0}}
            )
        self._wake()
        waits = [each.idle.wait() for each in self._deliveries]
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await asyncio.gather(*waits)
        except TimeoutError:
            logger.info("stopped_before_all_was_delivered")

    async def _enrich(self) -> None:
        while True:
            try:
                view, has_news = await in_thread(self._step)
                if has_news:
                    self._wake()
                self._view = view
                has_more = not view.caught_up
                pause = 0.0 if has_more else POLL_SECONDS
            except OSError as error:
                self._view = replace(
                    self._view, error=f"the row log cannot be written: {error}"
                )
                logger.warning(
                    "row_log_write_failed",
                    extra={"detail": {"errno": error.errno or 0}},
                )
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    def _step(self) -> tuple[_View, bool]:
        """Do one step in the thread: read, make rows, now and then clean up; say how things stand, and if there are news."""
        now = self._clock()
        before = self._row_log.end
        self._enricher.step(now)
        view = self._view
        if now - self._cleaned_at >= CLEAN_SECONDS:
            self._cleaned_at = now
            view = self._clean(view)
        view = replace(
            view,
            pending=self._enricher.pending,
            unripe=self._enricher.unripe,
            caught_up=self._enricher.caught_up,
            rows_made=self._enricher.rows_made,
            counts=tuple(self._enricher.counts.items()),
            losses=tuple((self._enricher.losses + self._row_log.losses).items()),
            refused=tuple(self._enricher.refused),
            error="",
        )
        return view, self._row_log.end != before

    def _clean(self, view: _View) -> _View:
        self._enricher.clean()
        slowest = min((each.position for each in self._deliveries), default=None)
        self._row_log.retain(slowest, self._now_us())
        return replace(
            view,
            row_log_bytes=self._row_log.bytes_total(),
            spool_bytes=measure(self._data_dir / "spool"),
            forced_bytes=self._row_log.forced_bytes,
            dead_letters=self._count_buried(),
        )

    def _wake(self) -> None:
        for each in self._deliveries:
            each.wake()

    def _is_drained(self) -> bool:
        """Calls under way in a living worker do not count: nobody knows how long they will take."""
        view = self._view
        is_enriched = view.caught_up and not view.error and not view.unripe
        return is_enriched and all(each.idle.is_set() for each in self._deliveries)

    def _count_buried(self) -> int:
        directory = self._data_dir / "dead"
        return sum(1 for _ in directory.glob("*.jsonl")) if directory.is_dir() else 0

    # What others may ask; nothing here blocks.

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Say whether rows are being made, and what is degraded beside that."""
        view = self._view
        degraded = [
            f"{each.name}: {each.last_error}"
            for each in self._deliveries
            if each.last_error
        ]
        if view.dead_letters or any(each.poison_batches for each in self._deliveries):
            degraded.append("dead letters")
        degraded += [f"spool: {reason}" for reason in view.refused]
        return not view.error, {"error": view.error, "degraded": degraded}

    def metrics(self) -> bytes:
        """Give the families for a scrape."""
        now_us = self._now_us()
        for each in self._deliveries:
            self._meters.set_lag(each.name, each.oldest_us(), now_us)
        self._meters.set_dropped(self._dropped())
        return self._meters.encoded()

    def status(self) -> dict[str, Any]:
        """Say everything, for people."""
        view, now_us = self._view, self._now_us()
        return {
            "pending_exchanges": view.pending,
            "caught_up": view.caught_up,
            "rows_made": view.rows_made,
            "spool_bytes": view.spool_bytes,
            "row_log_bytes": view.row_log_bytes,
            "row_log_bytes_forced_out": view.forced_bytes,
            "dead_letters": view.dead_letters,
            "odd_records": dict(view.counts),
            "skipped": dict(view.losses),
            "refused": list(view.refused),
            "error": view.error,
            "destinations": {
                each.name: _destination(each, now_us) for each in self._deliveries
            },
        }

    def _dropped(self) -> dict[str, int]:
        view = self._view
        totals: Counter[str] = Counter()
        for kind in ("evicted", "failed", "undecodable", "pending_lost"):
            totals[f"enrich_{kind}"] = dict(view.counts).get(kind, 0)
        for kind, count in view.losses:
            if kind != "bytes":
                totals[f"spool_{kind}"] = count
        totals["dead_letter"] = sum(each.poison_rows for each in self._deliveries)
        return totals


def _destination(delivery: Delivery, now_us: int) -> dict[str, Any]:
    oldest_us = delivery.oldest_us()
    return {
        "lag_seconds": max(0, now_us - oldest_us) / 1e6 if oldest_us else 0.0,
        "idle": delivery.idle.is_set(),
        "position": list(delivery.position),
        "delivered_rows": delivery.delivered_rows,
        "poison_batches": delivery.poison_batches,
        "poison_rows": delivery.poison_rows,
        "failures": delivery.failures,
        "last_error": delivery.last_error,
    }
