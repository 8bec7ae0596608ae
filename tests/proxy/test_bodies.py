"""Bodies that are read before they are forwarded; the bounds through a whole proxy are in `test_pipeline.py`."""

from types import SimpleNamespace
from typing import Any

from proxy.bodies import Bodies
from proxy.call import Call
from tests.helpers.runs.tracking import drive


class Agent:
    """Sends a body in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [*pieces]
        self.has_body = bool(pieces)
        self.content_length = None
        self.body_arrived = False
        self.headers: list[tuple[bytes, bytes]] = []

    def ask_for_body(self) -> None:
        """Nobody waits for it."""

    async def read_body(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


def read(bodies: Bodies, *pieces: bytes, limit: int = 8, total: int = 10) -> Call:
    snapshot: Any = SimpleNamespace(request_buffer_bytes=limit, request_buffers_total_bytes=total)  # fmt: skip
    agent: Any = Agent(*pieces)
    call = Call(agent, snapshot, 0.0, 0)
    accepted: Any = SimpleNamespace(signer=None, wants_body=True)
    drive(bodies.read(call, accepted))
    return call


def test_a_body_is_read_whole_and_counts_until_it_is_released():
    bodies = Bodies()
    first = read(bodies, b"1234", b"5678")
    assert first.body == b"12345678"
    assert read(bodies, b"123").body is None  # no room beside the first
    bodies.release(first)
    assert read(Bodies(), b"123").body == b"123"


def test_a_body_that_turns_out_to_be_too_large_is_kept_as_far_as_it_was_read():
    call = read(Bodies(), b"12345", b"6789")
    assert (call.body, call.begun, call.buffered_bytes) == (None, b"123456789", 9)


def test_no_body_is_an_empty_one():
    assert read(Bodies()).body == b""
