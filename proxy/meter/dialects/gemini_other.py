"""The rest of Google's APIs for models: models lists, files, caches, batches, tuning, operations, predictions.

What lives here: recognising these paths. What does not: tokens; images and videos are billed by the piece, batches later.

Paths of Google's own API versions and of Vertex's projects are all taken, so that none of them falls to a family whose paths
look alike (`/models`, `/files`, `/batches`); those of the OpenAI-compatible endpoints are not.
"""

import re
from urllib.parse import unquote

from msgspec.structs import replace

from proxy.meter import asks
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

PREDICT = Operation("predict", Kind.OTHER, is_step=True, buffered=False)
PREDICT_LONG_RUNNING = Operation(
    "predict_long_running", Kind.OTHER, is_step=True, buffered=False
)
RAW_PREDICT = Operation("raw_predict", Kind.OTHER, is_step=True, buffered=False)
BATCH_GENERATE = Operation(
    "batch_generate_content", Kind.OTHER, is_step=False, buffered=False
)
BATCH_EMBED = Operation(
    "batch_embed_content", Kind.OTHER, is_step=False, buffered=False
)
LIVE = Operation("live", Kind.OTHER, is_step=True, buffered=False)

_VERBS = {
    "predict": PREDICT,
    "predictLongRunning": PREDICT_LONG_RUNNING,
    "serverStreamingPredict": PREDICT,
    "rawPredict": RAW_PREDICT,
    "streamRawPredict": replace(RAW_PREDICT, stream=True),
    "batchGenerateContent": BATCH_GENERATE,
    "asyncBatchEmbedContent": BATCH_EMBED,
}
_VERB = re.compile(
    r".*/(?:models|tunedModels|endpoints)/(?P<model>[^/:]+?)(?::|%3[Aa])(?P<verb>\w+)/?"
)

_RESOURCES = {
    "models": "models",
    "tunedModels": "models",
    "publishers": "models",
    "cachedContents": "cached_contents",
    "files": "files",
    "fileSearchStores": "file_search_stores",
    "corpora": "file_search_stores",
    "ragCorpora": "file_search_stores",
    "batches": "batches",
    "batchPredictionJobs": "batches",
    "operations": "operations",
    "tuningJobs": "tuning",
    "endpoints": "endpoints",
}
_RESOURCE = re.compile(
    r".*/(?:v\d+(?:alpha|beta)\d*/|v\d+/(?=projects/))(?:projects/[^/]+/locations/[^/]+/)?"
    r"(?!openai/)(?P<resource>\w+)(?:[/:].*)?"
)
_LIVE = re.compile(r".*/ws/google\..*\.BidiGenerateContent(?:Constrained)?/?")


class GeminiOther:
    """See the module."""

    name = "gemini_other"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`; the operation is named after the verb or the resource."""
        if _LIVE.fullmatch(path):
            return LIVE
        found = _VERB.fullmatch(path) if method == "POST" else None
        operation = _VERBS.get(found["verb"]) if found else None
        if found and operation:
            return replace(operation, model=unquote(found["model"]))
        found = _RESOURCE.fullmatch(path)
        if found is None:
            return None
        name = _RESOURCES.get(found["resource"], "other")
        return Operation(name, Kind.OTHER, is_step=False, buffered=False)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`; bodies are not read."""
        ask = asks.blank(self.name, operation)
        return replace(ask, model=operation.model, stream=operation.stream)

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return unmetered(head.status)
