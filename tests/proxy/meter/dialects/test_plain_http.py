import pytest

from proxy.meter.dialects.plain_http import PlainHttp
from proxy.model import ErrorType, Reading
from tests.helpers.meter import read

ANY = "/search"


@pytest.mark.parametrize(
    ("method", "is_step"),
    [("GET", True), ("POST", True), ("HEAD", False), ("OPTIONS", False)],
)
def test_every_call_is_known_and_probes_are_no_work(method: str, is_step: bool):
    operation = PlainHttp().operation(method, ANY)
    assert (operation.is_step, operation.buffered) == (is_step, False)


def test_answers_are_not_looked_at():
    assert read(ANY, b'{"usage": {"prompt_tokens": 1}}') == Reading()


def test_error_answers_say_why():
    reading = read(ANY, b'{"error": {"code": "insufficient_quota"}}', status=429)
    assert (reading.error_type, reading.error_code) == (
        ErrorType.QUOTA,
        "insufficient_quota",
    )
    page = read(ANY, b"<html>oh no</html>", status=502, content_type="text/html")
    assert (page.error_type, page.malformed) == (ErrorType.SERVER_ERROR, True)
    assert read(ANY, b"", status=404).error_type == ErrorType.NOT_FOUND
