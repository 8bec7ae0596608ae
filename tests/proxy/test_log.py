import io
import json
import logging
import sys
import threading

import pytest

from proxy.log import JsonLines, Throttle, setup

SECRET = "sk-s3cret"


@pytest.fixture
def logged(monkeypatch):
    """Set logging up as a process does, and give what it wrote."""
    root = logging.getLogger()
    access = logging.getLogger("aiohttp.access")
    before = root.handlers[:], root.level, access.level
    for owner, name in (
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (threading, "excepthook"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    stream = io.StringIO()
    setup("w0", "info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level, access.level = before
    assert SECRET not in stream.getvalue()


def test_a_line_says_when_how_bad_who_what_and_details(logged):
    logging.getLogger("tacho.worker").warning(
        "spool_full", extra={"detail": {"free_bytes": 0, "ok": False}}
    )
    (line,) = logged()
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "warning",
        "process": "w0",
        "event": "spool_full",
        "detail": {"free_bytes": 0, "ok": False},
    }


def test_a08_no_text_breaks_the_line_or_the_terminal(logged):
    logging.getLogger("tacho").error(
        "x\n\x1b[31m\u2028\u202e\x7f\x9b", extra={"detail": {"a\nb": "\r\n\x1b"}}
    )
    (line,) = logged()
    assert line["event"] == "x\n\x1b[31m\u2028\u202e\x7f\x9b"
    raw = JsonLines("w0").format(
        logging.makeLogRecord({"name": "tacho", "msg": "\x1b\u2028\x7f\n\x9b\u202e"})
    )
    assert raw.isascii()
    assert raw.isprintable()


def test_long_fields_and_many_fields_are_cut(logged):
    logging.getLogger("tacho").info(
        "e", extra={"detail": {f"k{n}": "x" * 10_000 for n in range(100)}}
    )
    (line,) = logged()
    assert len(line["detail"]) == 20
    assert len(line["detail"]["k0"]) == 503


def test_details_of_other_types_become_text(logged):
    logging.getLogger("tacho").info(
        "e", extra={"detail": {"path": ["a"], "none": None}}
    )
    logging.getLogger("tacho").info("e", extra={"detail": "no mapping"})
    assert [line["detail"] for line in logged()] == [
        {"path": "['a']", "none": None},
        {},
    ]


def fail() -> None:
    raise ValueError(SECRET)


def test_an_exception_is_its_type_and_place_only(logged):
    try:
        fail()
    except ValueError:
        logging.getLogger("tacho.worker").exception("record_failed")
    (line,) = logged()
    assert line["detail"]["error"] == "ValueError"
    assert "test_log.py:" in line["detail"]["where"]
    assert line["detail"]["where"].endswith(" in fail")


@pytest.mark.parametrize(
    ("name", "message", "arguments", "words"),
    [
        (
            "asyncio",
            f"Task exception was never retrieved\nfuture: <Task {SECRET}>",
            (),
            "Task exception was never retrieved",
        ),
        (
            "asyncio",
            f"Exception in callback Foo.data_received(b'{SECRET}')",
            (),
            "Exception in callback Foo.data_received",
        ),
        (
            "aiohttp.server",
            "Error handling request from %s",
            (SECRET,),
            "Error handling request from",
        ),
        ("aiohttp.client", f"x {{'k': '{SECRET}'}}", (), "x"),
        ("tachometer", f"a={SECRET}", (), "a"),
    ],
)
def test_a06_libraries_keep_their_own_words_only(
    logged, name, message, arguments, words
):
    logging.getLogger(name).error(message, *arguments)
    (line,) = logged()
    assert line["event"] == "library"
    assert line["detail"] == {"logger": name, "message": words}


def test_requests_are_not_logged(logged):
    logging.getLogger("aiohttp.access").info("GET /v1?key=%s", SECRET)
    logging.getLogger("tacho").debug("below the level")
    assert logged() == []


@pytest.mark.parametrize("hook", ["excepthook", "unraisablehook", "threading"])
def test_what_nobody_caught_is_one_line_without_its_text(logged, hook):
    try:
        fail()
    except ValueError as error:
        if hook == "excepthook":
            sys.excepthook(ValueError, error, error.__traceback__)
        elif hook == "unraisablehook":
            given = type(
                "Args",
                (),
                {
                    "exc_type": ValueError,
                    "exc_value": error,
                    "exc_traceback": error.__traceback__,
                },
            )
            sys.unraisablehook(given())
        else:
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
    (line,) = logged()
    assert (line["event"], line["level"]) == ("uncaught_exception", "critical")
    assert line["detail"]["error"] == "ValueError"


def test_an_exception_without_a_place_is_its_type(logged):
    sys.excepthook(ValueError, None, None)  # type: ignore[arg-type]
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [line["detail"] for line in logged()] == [{"error": "ValueError"}]


def test_a_flood_is_cut_and_counted():
    throttle = Throttle(2)
    records = [
        logging.makeLogRecord({"name": "tacho", "msg": "e", "created": second})
        for second in (1, 1, 1, 1.5, 2)
    ]
    assert [throttle.filter(record) for record in records] == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert json.loads(JsonLines("w0").format(records[-1]))["detail"] == {
        "suppressed_lines": 2
    }


def test_a_reader_that_is_gone_is_no_reason_to_fail(logged):
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    closed = io.StringIO()
    closed.close()
    handler.setStream(closed)
    logging.getLogger("tacho").info("e")
