import pytest

from proxy.model import ErrorType, Kind, Reading
from tests.helpers.meter import ask_for, read

VERTEX = "/v1beta1/projects/p/locations/us-central1"
MODELS = f"{VERTEX}/publishers/google/models"
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"


@pytest.mark.parametrize(
    ("path", "operation", "model", "is_step", "stream"),
    [
        (f"{MODELS}/imagen-4:predict", "predict", "imagen-4", True, False),
        (
            f"{MODELS}/veo%403:predictLongRunning",
            "predict_long_running",
            "veo@3",
            True,
            False,
        ),
        (f"{VERTEX}/endpoints/7:rawPredict", "raw_predict", "7", True, False),
        (
            f"{VERTEX}/publishers/mistralai/models/m:streamRawPredict",
            "raw_predict",
            "m",
            True,
            True,
        ),
        (
            "/v1beta/models/g:batchGenerateContent",
            "batch_generate_content",
            "g",
            False,
            False,
        ),
        (
            "/v1beta/models/e:asyncBatchEmbedContent",
            "batch_embed_content",
            "e",
            False,
            False,
        ),
    ],
)
def test_work_that_has_no_tokens_is_told_by_its_verb(
    path: str, operation: str, model: str, is_step: bool, stream: bool
):
    ask = ask_for(path, None)
    assert (ask.dialect, ask.kind) == ("gemini_other", Kind.OTHER)
    assert (ask.operation, ask.model, ask.is_step, ask.stream) == (
        operation,
        model,
        is_step,
        stream,
    )


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/v1beta/models", "models"),
        ("GET", "/v1beta/models/gemini-2.5-pro", "models"),
        ("GET", f"{MODELS}/gemini-2.5-pro", "models"),
        ("POST", f"{MODELS}/g:fetchPredictOperation", "models"),
        ("GET", "/v1beta/tunedModels", "models"),
        ("POST", "/v1beta/cachedContents", "cached_contents"),
        ("PATCH", f"{VERTEX}/cachedContents/7", "cached_contents"),
        ("POST", "/upload/v1beta/files", "files"),
        ("GET", "/v1beta/files/x:download", "files"),
        ("POST", "/v1beta/fileSearchStores/s:importFile", "file_search_stores"),
        ("GET", "/v1beta/batches/b", "batches"),
        ("POST", "/v1/projects/p/locations/l/batchPredictionJobs", "batches"),
        ("GET", "/v1beta/operations/o", "operations"),
        ("GET", f"{MODELS[: -len('/models')]}/models/m/operations/o", "models"),
        ("POST", f"{VERTEX}/tuningJobs", "tuning"),
        ("GET", f"{VERTEX}/endpoints/7", "endpoints"),
        ("POST", "/v1alpha/auth_tokens", "other"),
        ("GET", "/v1/projects/p", "other"),
        ("GET", LIVE, "live"),
    ],
)
def test_the_rest_is_told_by_its_resource(method: str, path: str, operation: str):
    ask = ask_for(path, None, method=method)
    assert (ask.dialect, ask.operation) == ("gemini_other", operation)
    assert ask.is_step == (operation == "live")


@pytest.mark.parametrize(
    ("method", "path", "dialect"),
    [
        ("GET", "/v1/models", "openai_other"),
        ("GET", "/v1/files", "openai_other"),
        ("POST", "/v1beta/openai/chat/completions", "openai_chat"),
        ("POST", "/v1beta/openai/embeddings", "openai_embeddings"),
        ("GET", "/v1beta/openai/models", "openai_other"),
        ("POST", f"{VERTEX}/endpoints/openapi/chat/completions", "openai_chat"),
        ("POST", "/v1/messages", "anthropic_messages"),
        ("GET", "/v1/things", "plain_http"),
    ],
)
def test_paths_of_others_are_left_to_them(method: str, path: str, dialect: str):
    assert ask_for(path, None, method=method).dialect == dialect


def test_nothing_is_counted_but_errors_are_told():
    path = f"{MODELS}/imagen-4:predict"
    assert read(path, b'{"predictions":[{}]}') == Reading()
    error = read(path, b'{"error":{"code":403}}', status=403)
    assert error.error_type == ErrorType.AUTH
