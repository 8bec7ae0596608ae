import pytest

from exporters.enrich.pending import Awaiting
from exporters.enrich.progress import (
    Progress,
    SourceProgress,
    decode_progress,
    encode_progress,
)
from proxy.errors import RecordError
from proxy.record.framing import Position


def test_progress_is_read_back():
    source = SourceProgress(
        "w0/a", Position(2, 40), (Position(1, 32),), (Awaiting("x", "t"),), 7, True
    )
    progress = Progress((source,), {"crashed": 1})
    assert decode_progress(encode_progress(progress)) == progress


def test_nothing_is_the_beginning_and_garbage_is_refused():
    assert decode_progress(None) == Progress()
    with pytest.raises(RecordError, match="progress"):
        decode_progress(b"\xc1")
