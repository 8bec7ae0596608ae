"""Which stored responses have been billed, so that tokens of one answer are counted once.

A Responses API answer can be asked for again by its id (a background response always is), and so can a Gemini interaction
and a run of an assistant, which is polled:
the row that first shows its tokens carries them, those of later askings carry none. What a request created is new, whatever
its id.
"""

from collections import OrderedDict

from proxy.model import Ask, Reading

DIALECTS = frozenset({"openai_responses", "openai_assistants", "gemini_interactions"})
ASKED_AGAIN = frozenset(
    {
        "responses_get",
        "responses_cancel",
        "thread_run_get",
        "interactions_get",
        "interactions_cancel",
    }
)
"""Operations that show an answer which another request made."""


class BilledResponses:
    """Ids whose tokens were counted; bounded, the oldest are forgotten first."""

    def __init__(self, capacity: int) -> None:
        """Remember `capacity` ids at most."""
        self._capacity = capacity
        self._ids: OrderedDict[str, None] = OrderedDict()

    def seen(self, ask: Ask, reading: Reading) -> bool:
        """Whether this answer's tokens were counted before; remembers those that count now."""
        if (
            ask.dialect not in DIALECTS
            or not reading.response_id
            or reading.usage is None
        ):
            return False
        if ask.operation in ASKED_AGAIN and reading.response_id in self._ids:
            return True
        self.add(reading.response_id)
        return False

    def add(self, response_id: str) -> None:
        """Remember an id."""
        self._ids[response_id] = None
        if len(self._ids) > self._capacity:
            self._ids.popitem(last=False)

    def ids(self) -> list[str]:
        """Give what is remembered, oldest first."""
        return list(self._ids)
