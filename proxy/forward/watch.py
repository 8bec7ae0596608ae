"""What a relay says of an exchange, and to whom.

What lives here: the words between the relay and who keeps the account of an exchange. What does not: moving bytes (`relay.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.forward.http1 import AnswerHead, Framing
from proxy.forward.upstream import UpstreamConnection
from proxy.model import ErrorType, Outcome


@dataclass(slots=True, frozen=True)
class Ending:
    """How an exchange ended, and what to tell an agent that has not been answered yet."""

    outcome: Outcome
    error_type: ErrorType = ErrorType.NONE
    message: str = ""


Start = tuple[int, bytes, Sequence[tuple[bytes, bytes]], Framing]
"""An answer's head as `Agent.start` takes it."""


@dataclass(slots=True, frozen=True)
class Kept:
    """What the agent has not got of an answer that is over."""

    data: bytes
    head: Start | None = None
    """`None` where the agent has it already."""


def nothing(_: AnswerHead) -> int:
    """Keep nothing back."""
    return 0


class Watch(Protocol):
    """Who is told what passes. Calls come in this order; none may raise but as told."""

    def connected(self, seconds: float | None) -> None:
        """A connection was had after `seconds` (`None`: reused)."""

    def sent(self, size: int) -> None:
        """The request, or a further piece of its body, was handed to the connection."""

    def refused(self, status: int, body: bytes) -> bool:
        """Whether this answer refuses the alteration, so that the agent's own request is to be sent."""

    def answered(
        self, head: AnswerHead, first_byte_at: float
    ) -> tuple[Sequence[tuple[bytes, bytes]], Framing]:
        """Take the head; give the headers for the agent and how the body's end is told to it."""

    def forwarded(self) -> None:
        """The head was written to the agent."""

    def passed(self, data: bytes, connection: UpstreamConnection) -> bytes:
        """Take a piece of the body; give what the agent gets for it."""

    @property
    def terminal(self) -> bool:
        """Whether the terminal event has passed."""

    @property
    def wanted(self) -> bytes | None:
        """The body of another attempt whose answer is to take the place of what is held back of this one; `None`: this one stands.

        Final once the terminal event has passed.
        """

    async def close(self, ending: Ending, *, stands: bool = True) -> None:
        """Write what is known; called before the terminal event or last byte goes to the agent. May be called again.

        With `stands` off another attempt may follow: what the run is told waits for it.
        """

    def delivered(self) -> None:
        """What `close` was called for has been given to the agent."""

    def tunnelled(self, from_agent: int, from_upstream: int) -> None:
        """So many bytes passed each way on an upgraded connection."""

    def rest(self) -> bytes:
        """Give what was held back, at the end of the body."""
