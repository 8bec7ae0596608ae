"""Recorded exchanges through a proxy, and everything that must hold of each.

What lives here: `replay`, which plays answers one after the other, compares bytes on both sides and tokens in the record, and
gives a `Tally`. What does not: the upstream (`replay.py`), what the provider's numbers come to (`said.py`).
"""

import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from proxy.config import RouteSettings
from proxy.model import UsageSource
from tests.helpers.client import RawClient
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import running, settings_for
from tests.helpers.records import Recorded
from tests.helpers.replay import Framing, Playback, Player, Tape, odd_slices
from tests.helpers.said import said_buckets
from tests.helpers.wire import LAST_CHUNK, Message, chunk, fields_of


@dataclass
class Tally:
    """What came of a replay; `wrong` names each exchange that differs, and how."""

    exchanges: int = 0
    identical: int = 0
    injected: int = 0
    stripped: list[str] = field(default_factory=list)
    """Streams that carried a usage event though nobody had asked for one."""
    carrying: int = 0
    equal: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)


async def replay(
    data_dir: Path, name: str, played: list[Playback], *, in_chunks: bool = False
) -> Tally:
    """Play one answer after the other over one connection, and compare everything; `in_chunks` sends requests so."""
    player, tally = Player(), Tally(exchanges=len(played))
    async with RawOrigin(player) as origin:
        azure = RouteSettings(url=origin.url, kind="llm", provider="azure")
        settings = settings_for(data_dir, origin, routes={"azure": azure})
        async with running(settings) as proxy:
            async with await proxy.connect(record=False) as client:
                for playback in played:
                    player.playing = playback
                    origin.requests.clear()
                    pieces = pieces_of_request(name, playback.tape, in_chunks)
                    answer = await _call(client, pieces)
                    _compare_bytes(playback, origin.requests, answer, tally)
            recorded = await proxy.ended(len(played))
    assert not origin.violations
    assert [len(each.opens) for each in recorded] == [1] * len(played)
    for playback, exchange in zip(played, recorded, strict=True):
        _compare_tokens(playback.tape, exchange, tally)
    return tally


async def _call(client: RawClient, pieces: list[bytes]) -> Message:
    for piece in pieces:
        await client.send(piece)
        await asyncio.sleep(0)
    return await client.response()


def _compare_bytes(
    playback: Playback, requests: list[Message], answer: Message, tally: Tally
) -> None:
    (request,) = requests
    tape = playback.tape
    injected = request.body != tape.request_body
    wrong = list(_wrong_in_request(tape, request, injected))
    wrong += _wrong_in_answer(playback, answer, injected, tally)
    tally.identical += not wrong
    tally.injected += injected
    tally.wrong += [(tape.id, each) for each in wrong]


def request_for(name: str, tape: Tape, run: str = "") -> bytes:
    """Give the recorded request as it goes to a route, perhaps with a run before it."""
    return b"".join(pieces_of_request(name, tape, in_chunks=False, run=run))


def pieces_of_request(
    name: str, tape: Tape, in_chunks: bool, run: str = ""
) -> list[bytes]:
    prefix = f"/run/{run}/{name}" if run else f"/{name}"
    target = prefix.encode() + tape.target
    body = tape.request_body
    fields = [(b"Host", b"proxy.test"), *tape.request_headers]
    if in_chunks:
        fields.append((b"Transfer-Encoding", b"chunked"))
    elif body:
        fields.append((b"Content-Length", b"%d" % len(body)))
    head = b"%b %b HTTP/1.1\r\n%b\r\n" % (tape.method, target, fields_of(fields))
    if in_chunks:
        return [head, *(chunk(each) for each in odd_slices(body)), LAST_CHUNK]
    return [head + body]


_FRAMING = (b"host", b"content-length", b"transfer-encoding")


def _wrong_in_request(tape: Tape, request: Message, injected: bool) -> list[str]:
    expected = [*tape.request_headers]
    if injected:
        expected = [
            (n, b"identity" if n.lower() == b"accept-encoding" else v)
            for n, v in expected
        ]
    facts = {
        "method": request.method == tape.method,
        "target": request.target == tape.target,
        "request headers": request.without(*_FRAMING) == expected,
        "request body": not injected or _is_the_splice(tape, request.body),
    }
    return [what for what, holds in facts.items() if not holds]


def _is_the_splice(tape: Tape, sent: bytes) -> bool:
    """Whether the only difference is that usage is asked for, by an insertion or in place of `false`."""
    asked = tape.asked
    if not (tape.path.endswith("/completions") and asked.get("stream") is True):
        return False
    options = asked.get("stream_options")
    wanted = {**asked, "stream_options": {**(options or {}), "include_usage": True}}
    if options:
        old, new = b'"include_usage": false', b'"include_usage": true'
        spellings = ((old, new), (old.replace(b" ", b""), new.replace(b" ", b"")))
        return json.loads(sent) == wanted and any(
            tape.request_body.replace(*each) == sent for each in spellings
        )
    added = b',"stream_options":{"include_usage":true}'
    return (
        json.loads(sent) == wanted and sent.replace(added, b"", 1) == tape.request_body
    )


_USAGE_EVENT = re.compile(rb'data: \{[^\n]*"choices": ?\[\], ?"usage": ?\{[^\n]*\}\n\n')


def _wrong_in_answer(
    playback: Playback, answer: Message, injected: bool, tally: Tally
) -> list[str]:
    expected = playback.body
    if injected and playback.coding == "identity" and _USAGE_EVENT.search(expected):
        # What nobody asked for and what we asked for look the same.
        tally.stripped.append(playback.tape.id)
        expected = _USAGE_EVENT.sub(b"", expected)
    framing = "chunked" if playback.framing is Framing.CHUNKED else "length"
    reframed = (
        injected and playback.coding == "identity" and playback.tape.status == 200
    )
    facts = {
        "status": answer.status == playback.tape.status
        and answer.reason == b"Recorded",
        "headers": answer.without(b"content-length", b"transfer-encoding")
        == playback.headers,
        "body": answer.body == expected,
        "framing": answer.framing == ("chunked" if reframed else framing),
    }
    return [what for what, holds in facts.items() if not holds]


def _compare_tokens(tape: Tape, exchange: Recorded, tally: Tally) -> None:
    close = exchange.close
    expected = said_buckets(tape)
    if expected is None:
        if close.usage_source in (UsageSource.PROVIDER, UsageSource.PARTIAL):
            tally.wrong.append((tape.id, f"usage from nowhere: {close.usage}"))
        return
    tally.carrying += 1
    found = msgspec.structs.asdict(close.usage)
    if found == expected and close.usage_source is UsageSource.PROVIDER:
        tally.equal += 1
    else:
        tally.wrong.append(
            (tape.id, f"{close.usage_source}: {found}, said: {expected}")
        )
