"""Bodies of requests that are read before they are forwarded.

What lives here: reading them whole within the bounds on one and on all. What does not: what they say (`meter/`, `identify/`).
"""

from proxy.call import Accepted, Call
from proxy.forward.failures import no_room


class Bodies:
    """Reads bodies; one for a worker."""

    def __init__(self) -> None:
        self._buffered_bytes = 0

    def release(self, call: Call) -> None:
        """Note that a call holds its body no longer."""
        self._buffered_bytes -= call.buffered_bytes

    async def read(self, call: Call, accepted: Accepted) -> None:
        """Read the body whole where its family is known and it is not too large; what arrived already, in any case."""
        agent, snapshot = call.agent, call.snapshot
        if not agent.has_body:
            call.body = b""
            return
        length = agent.content_length or 0
        room = snapshot.request_buffers_total_bytes - self._buffered_bytes
        limit = min(snapshot.request_buffer_bytes, room)
        if accepted.signer and length > limit:
            raise no_room(length, snapshot.request_buffer_bytes)
        if length > limit or not (accepted.wants_body or agent.body_arrived):
            return
        agent.ask_for_body()
        pieces: list[bytes] = []
        size = 0
        while piece := await agent.read_body():
            pieces.append(piece)
            size += len(piece)
            call.buffered_bytes = size
            self._buffered_bytes += len(piece)
            if accepted.signer and size > limit:
                raise no_room(size, snapshot.request_buffer_bytes)
            if size > limit:
                call.begun = b"".join(pieces)
                return
        call.body = b"".join(pieces)
