"""The log: JSON lines on stderr, one object an event.

What lives here: the one set-up of stdlib logging that each process makes. What does not: counting (`telemetry/`); what happens
per request is counted, not logged.

Our own code logs `logger = logging.getLogger("tacho.<part>")`, `logger.warning("spool_full", extra={"detail": {"free_bytes": 0}})`:
the event is a fixed word, the detail a flat mapping of short values. Never headers, bodies, URLs or error texts of others.

Libraries are kept to a fixed part of their message and an exception's type and place: messages and tracebacks of asyncio and
aiohttp carry arguments, and arguments carry prompts and keys.
"""

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

OWN_PREFIX = "tacho"
MAX_FIELD_CHARACTERS = 500
MAX_FIELDS = 20
LINES_PER_SECOND = 50
_SILENT = ("aiohttp.access",)
_DATA_BEGINS = re.compile(r"[<(\[{'\"`=\n\d]")
"""Where a library's message stops being its own words."""

Scalar = str | int | float | bool | None


def setup(process: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logging of this process, and what would end it, to `stream` (stderr) as JSON lines."""
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(JsonLines(process))
    handler.addFilter(Throttle(LINES_PER_SECOND))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logger = logging.getLogger(OWN_PREFIX)
    sys.excepthook = lambda kind, error, trace: _note_crash(logger, kind, error, trace)
    sys.unraisablehook = lambda args: _note_crash(
        logger, args.exc_type, args.exc_value, args.exc_traceback
    )
    threading.excepthook = lambda args: _note_crash(
        logger, args.exc_type, args.exc_value, args.exc_traceback
    )


def _note_crash(
    logger: logging.Logger,
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logger.critical("uncaught_exception", exc_info=(kind, error or kind(), trace))


class JsonLines(logging.Formatter):
    """Turns a record into one line of ASCII JSON: ts, level, process, event, detail."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Give the line, without its end."""
        ts = datetime.fromtimestamp(record.created, UTC).isoformat(
            timespec="milliseconds"
        )
        event, detail = _own(record) if _is_own(record) else _foreign(record)
        if record.exc_info and record.exc_info[0] is not None:
            detail |= describe_error(record.exc_info[0], record.exc_info[2])
        line = {
            "ts": ts.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._process,
            "event": _text(event),
            "detail": {
                _text(name): _value(value)
                for name, value in list(detail.items())[:MAX_FIELDS]
            },
        }
        # ASCII: control characters, ESC, U+2028 and bidirectional marks are all escaped, DEL alone is not.
        return json.dumps(line, ensure_ascii=True).replace("\x7f", "\\u007f")


class Throttle(logging.Filter):
    """Lets so many lines a second through; the next one that passes says how many did not."""

    def __init__(self, lines_per_second: int) -> None:
        super().__init__()
        self._limit = lines_per_second
        self._second = 0
        self._lines = 0
        self._suppressed = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is written."""
        if int(record.created) != self._second:
            self._second, self._lines = int(record.created), 0
        if self._lines >= self._limit:
            self._suppressed += 1
            return False
        self._lines += 1
        if self._suppressed:
            record.suppressed = self._suppressed
            self._suppressed = 0
        return True


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; a reader that is gone is no reason to print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging calls it so)
        """Do nothing: there is nowhere left to say it."""


def describe_error(
    kind: type[BaseException], trace: TracebackType | None
) -> dict[str, Scalar]:
    """Give an exception's type and the place where it was raised, never its text."""
    described: dict[str, Scalar] = {
        "error": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    }
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        code = trace.tb_frame.f_code
        file = "/".join(code.co_filename.replace("\\", "/").split("/")[-3:])
        described["where"] = f"{file}:{trace.tb_lineno} in {code.co_name}"
    return described


def _is_own(record: logging.LogRecord) -> bool:
    return record.name == OWN_PREFIX or record.name.startswith(f"{OWN_PREFIX}.")


def _own(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    given = getattr(record, "detail", None)
    detail = dict(given) if isinstance(given, dict) else {}
    return record.getMessage(), _with_suppressed(record, detail)


def _foreign(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """Keep of a library's message what its author wrote: the template, up to where data begins."""
    words = _DATA_BEGINS.split(str(record.msg).partition("%")[0], maxsplit=1)[0].strip()
    return "library", _with_suppressed(
        record, {"logger": record.name, "message": words}
    )


def _with_suppressed(
    record: logging.LogRecord, detail: dict[str, object]
) -> dict[str, object]:
    suppressed = getattr(record, "suppressed", 0)
    return {"suppressed_lines": suppressed, **detail} if suppressed else detail


def _value(value: object) -> Scalar:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _text(value)


def _text(value: object) -> str:
    text = str(value)
    return (
        text
        if len(text) <= MAX_FIELD_CHARACTERS
        else text[:MAX_FIELD_CHARACTERS] + "..."
    )
