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
        ("POST", "/v1/elsewhere", "http", True),
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


def test_what_image_models_write_is_image_unless_they_say_otherwise():
    assert read(IMAGES, dumps({"usage": USAGE})).details == (("output_image", 60),)
    mixed = {**USAGE, "output_tokens_details": {"image_tokens": 50, "text_tokens": 10}}
    assert read(IMAGES, dumps({"usage": mixed})).details == (("output_image", 50),)
    assert read(IMAGES, dumps({"data": []})).details == ()


def test_seconds_and_pages_are_billed_by_use():
    body = dumps({"text": "a", "usage": {"type": "duration", "seconds": 3}})
    heard = read("/v1/audio/transcriptions", body)
    assert heard.server_tool_uses == (("input_audio_seconds", 3),)
    pages = {"pages_processed": 4, "doc_size_bytes": 9}
    scan = read("/v1/ocr", dumps({"model": "mistral-ocr", "usage_info": pages}))
    assert (scan.model, scan.server_tool_uses) == (
        "mistral-ocr",
        (("input_document_pages", 4),),
    )
    assert read("/v1/ocr", dumps({"usage_info": {}})).server_tool_uses == ()


def test_an_image_may_have_a_price_and_no_tokens():
    reading = read(IMAGES, dumps({"usage": {"cost_in_usd_ticks": 200_000_000}}))
    assert (reading.usage, reading.cost) == (None, 20_000_000_000)


def test_moderations_name_model_and_id_and_cost_nothing():
    reading = read("/v1/moderations", dumps({"id": "modr-1", "model": "omni"}))
    assert (reading.response_id, reading.model) == ("modr-1", "omni")
    assert (reading.usage, reading.server_tool_uses) == (None, ())


def test_models_are_named_by_bodies_that_are_json_and_by_azures_path():
    body = b'{"model":"tts-1","input":"abc"}'
    assert ask_for("/v1/audio/speech", body).model == "tts-1"
    assert ask_for("/v1/moderations", b'{"model":"omni"}').model == "omni"
    path = "/openai/deployments/whisper/audio/transcriptions"
    assert ask_for(path, b"--boundary").model == "whisper"


def test_result_files_of_batches_pass_through_unread():
    tee = tee_for("/v1/files/file-1/content", method="GET")
    tee.feed(dumps({"response": {"body": {"usage": USAGE}}}) * 2)
    assert (tee.reading().usage, tee.reading().malformed) == (None, False)
