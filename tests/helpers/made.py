"""Exchanges written after a provider's documentation, where no recording shows the case, and one exchange through a whole proxy.

What lives here: made recordings, and `metered`. What does not: cases and expectations (`tests/end_to_end/test_special_*.py`).
"""

import json
from pathlib import Path
from typing import Any

from proxy.model import Usage
from proxy.record.codec import Close
from tests.helpers.arithmetic.cost import PARTS, expected_cost
from tests.helpers.metering import one_by_one, read_recording
from tests.helpers.recordings import NAMES, SUBSET, Recording, recordings
from tests.helpers.records import Recorded
from tests.helpers.replay import Framing, Playback, tape_of
from tests.helpers.replaying import Tally, moment_of, replay_all

EVENTS = "text/event-stream; charset=utf-8"
JSON = "application/json"
_SUBSET = {each.id: each for each in recordings(SUBSET, *NAMES)}


def made(
    provider: str,
    path: str,
    answer: bytes | dict[str, Any],
    *,
    asked: dict[str, Any] | None = None,
    status: int = 200,
    content_type: str = "",
) -> Recording:
    """Make an exchange; an answer of bytes is a stream of events."""
    is_stream = isinstance(answer, bytes)
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    kind = content_type or (EVENTS if is_stream else JSON)
    url = f"https://provider.test{path}"
    return Recording(
        id=f"{provider}-made",
        method="POST",
        path=path.partition("?")[0],
        request_body=json.dumps(asked or {}).encode(),
        status=status,
        content_type=kind,
        body=body,
        streamed=is_stream,
        usage=[],
        provider=provider,
        api="",
        url=url,
        query=path.partition("?")[2],
        request_headers=((b"Content-Type", b"application/json"),),
        response_headers=((b"Content-Type", kind.encode()),),
        source="made",
        exact=True,
    )


def recorded(recording_id: str) -> Recording:
    """Give a recording of the subset."""
    return _SUBSET[recording_id]


async def metered(data_dir: Path, exchange: Recording) -> Recorded:
    """Send an exchange through a proxy in odd chunks; its bytes must not change, and byte by byte it must read the same."""
    whole = read_recording(exchange, [exchange.body])
    assert read_recording(exchange, one_by_one(exchange.body)) == whole
    tally = Tally()
    playback = Playback(tape_of(exchange), framing=Framing.CHUNKED)
    (record,) = await replay_all(data_dir, [playback], tally)
    assert tally.wrong == []
    return record


def assert_costs(
    record: Recorded,
    provider: str,
    model: str,
    uses: dict[str, int] | None = None,
    /,
    **counts: int,
) -> None:
    """Compare the tokens of the answer itself with these, and its cost with genai-prices' of these."""
    close: Close = record.close
    assert close.usage == Usage(**counts)
    assert_priced(record, close, provider, model, uses or {}, counts)


def assert_priced(
    record: Recorded,
    priced: Any,
    provider: str,
    model: str,
    uses: dict[str, int],
    counts: dict[str, int],
    context: dict[str, str] | None = None,
) -> None:
    """Compare the cost of an answer or of a part of it with genai-prices'."""
    at = moment_of(record)
    expected = expected_cost(provider, model, counts, at, uses=uses, context=context)
    assert expected
    found = {part: getattr(priced.cost, part) for part in PARTS}
    assert {part: amount for part, amount in found.items() if amount} == expected
    assert priced.cost.total() == sum(expected.values())
    assert priced.cost.source == "computed"
