"""Which stored responses have been billed, so that tokens of one answer are counted once.

A Responses API answer can be asked for again by its id (a background response always is), and so can a Gemini interaction
and a run of an assistant, which is polled:
the row that first shows its tokens carries them, those of later askings carry none. What a request created is new, whatever
its id. Chat completions that are fetched later are such answers, too.

Where the answer to the first request was cut, its tokens were booked as an estimate. That stands, though asking again would show the
exact number: rows never change, and a second one would bill the same work twice.
"""

from collections import OrderedDict

from proxy.model import Ask, Reading, Usage

DIALECTS = frozenset(
    {
        "openai_responses",
        "openai_assistants",
        "gemini_interactions",
        "deferred_chat",
    }
)
ASKED_AGAIN = frozenset(
    {
        "responses_get",
        "responses_cancel",
        "thread_run_get",
        "interactions_get",
        "interactions_cancel",
        "deferred_chat_get",
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
        """Whether this answer's tokens were counted before."""
        asked_again = ask.dialect in DIALECTS and ask.operation in ASKED_AGAIN
        return asked_again and reading.response_id in self._ids

    def book(self, dialect: str, response_id: str, usage: Usage) -> None:
        """Take note that these tokens were counted, as told or estimated."""
        if dialect in DIALECTS and response_id and usage.total():
            self.add(response_id)

    def add(self, response_id: str) -> None:
        """Remember an id."""
        self._ids[response_id] = None
        if len(self._ids) > self._capacity:
            self._ids.popitem(last=False)

    def ids(self) -> list[str]:
        """Give what is remembered, oldest first."""
        return list(self._ids)
