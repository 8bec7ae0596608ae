import pytest

from proxy.accept.ids import uuid7
from proxy.http.headers import Headers
from proxy.identify.tracing import TraceParent, read_traceparent, span_id_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def read(*values: str) -> TraceParent | None:
    return read_traceparent(
        Headers([(b"Traceparent", value.encode()) for value in values])
    )


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"cc-{TRACE}-{SPAN}-03-more", True),
    ],
)
def test_a_valid_traceparent_is_read(value, sampled):
    assert read(value) == TraceParent(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"ff-{TRACE}-{SPAN}-01",),
        (f"00-{TRACE}-{SPAN}-01-more",),
        (f"00-{TRACE}-{SPAN}-01x",),
        (f"00-{'0' * 32}-{SPAN}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (f"00-{TRACE.upper()}-{SPAN}-01",),
        (f"00-{TRACE[1:]}-{SPAN}-01",),
    ],
)
def test_other_traceparents_are_not(values):
    assert read(*values) is None


def test_a_span_id_comes_from_the_attempt_and_is_never_zero():
    attempt = uuid7(1, 0)
    assert span_id_of(attempt) == attempt[16:] == "8" + "0" * 15
