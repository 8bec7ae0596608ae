import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, dumps, named, read, tee_for

IMAGES = "/v1/images/generations"
USAGE = {
    "input_tokens": 50,
    "output_tokens": 60,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}


@pytest.mark.parametrize(
    ("method", "path", "operation", "is_step"),
    [
        ("GET", "/v1/models", "models", False),
        ("GET", "/v1/models/gpt-x", "models", False),
        ("POST", "/v1/images/generations", "images", True),
        ("POST", "/v1/images/edits", "images", True),
        ("POST", "/v1/audio/transcriptions", "audio", True),
        ("POST", "/v1/moderations", "moderations", True),
        ("POST", "/v1/files", "files", False),
        ("GET", "/v1/files/f/content", "files", False),
        ("POST", "/v1/batches", "batches", False),
        ("GET", "/openai/deployments/d/images/x", "images", False),
        ("POST", "/v1beta/models/gemini:generateContent", "http", True),
        ("POST", "/files", "http", True),
    ],
)
def test_operations_are_told_apart(
    method: str, path: str, operation: str, is_step: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.kind, ask.is_step) == (operation, Kind.OTHER, is_step)


def test_requests_in_json_are_read_and_forms_are_not():
    ask = ask_for(IMAGES, b'{"model": "m", "prompt": "abc", "stream": true}')
    assert (ask.model, ask.input_chars, ask.stream) == ("m", 3, True)
    form = ask_for("/v1/audio/transcriptions", b"--boundary")
    assert (form.model, form.well_formed) == ("", True)


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(IMAGES, body).well_formed == well_formed


def test_tokens_of_images_and_transcriptions_are_read():
    assert read(IMAGES, dumps({"data": [], "usage": USAGE})).usage == Usage(
        input=10, image_in=40, output=60
    )
    heard = {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"audio_tokens": 14},
        "output_tokens": 5,
    }
    body = dumps({"text": "a", "usage": heard})
    assert read("/v1/audio/transcriptions", body).usage == Usage(
        input=0, audio_in=14, output=5
    )


def test_seconds_are_no_tokens():
    body = dumps({"text": "a", "usage": {"type": "duration", "seconds": 3}})
    assert read("/v1/audio/transcriptions", body).usage is None


def test_a_stream_of_images_ends_with_its_completed_event():
    part = {"type": "image_generation.partial_image", "b64_json": "x"}
    last = {"type": "image_generation.completed", "b64_json": "x", "usage": USAGE}
    assert not read(IMAGES, named(part)).terminal
    reading = read(IMAGES, named(part, last))
    assert (reading.terminal, reading.usage) == (
        True,
        Usage(input=10, image_in=40, output=60),
    )
    assert read(IMAGES, named(part) + b"data: [DONE]\n\n").terminal


def test_sound_is_not_kept():
    tee = tee_for("/v1/audio/speech", content_type="audio/mpeg")
    tee.feed(b"{" + bytes(1000))
    assert not tee.reading().malformed


def test_errors_are_told():
    assert (
        read(IMAGES, b'{"error":{"type":"server_error"}}').error_type
        == ErrorType.SERVER_ERROR
    )
    refused = read(IMAGES, b'{"error":{"code":"unknown_parameter"}}', status=400)
    assert (refused.error_type, refused.error_code) == (
        ErrorType.INVALID_REQUEST,
        "unknown_parameter",
    )
