from proxy.meter.unread import Unread, unmetered
from proxy.model import ErrorType, Reading


def test_what_was_known_before_is_said():
    assert Unread(Reading(deferred=True)).reading().deferred


def test_a_good_answer_is_passed_by():
    reader = unmetered(200)
    reader.feed(b"anything")
    assert reader.reading() == Reading()
    assert (
        reader.terminal,
        reader.output_started,
        reader.truncated,
        reader.held_bytes,
    ) == (False, False, False, 0)


def test_an_error_answer_is_read():
    reader = unmetered(503)
    reader.feed(b'{"error": {"code": "slow_down"}}')
    assert reader.reading().error_type == ErrorType.OVERLOADED


def test_an_error_in_events_counts_by_its_status():
    reader = unmetered(503)
    reader.feed(b"event: error\ndata: {}\n\ndata: {\n\n")
    assert reader.reading().error_type == ErrorType.SERVER_ERROR
