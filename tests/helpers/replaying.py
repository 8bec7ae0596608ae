"""Recorded exchanges through a proxy, and everything that must hold of each.

What lives here: `replay`, which plays answers one after the other, compares bytes on both sides, tokens and dollars in the record, and
gives a `Tally`. What does not: the upstream (`replay.py`), what the provider's numbers come to and cost (`arithmetic/`, `said.py`).
"""

import asyncio
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from proxy.config import AwsSigning, RouteSettings
from proxy.model import CostSource, Outcome, UsageSource
from proxy.record.codec import Close
from tests.helpers.arithmetic import expected_buckets
from tests.helpers.arithmetic.recorded_cost import expected_cost_of
from tests.helpers.aws import signature_problem
from tests.helpers.client import RawClient
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import running, settings_for
from tests.helpers.records import Recorded
from tests.helpers.replay import Framing, Playback, Player, Tape, odd_slices
from tests.helpers.said import OTHER_SHAPES, said_buckets
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
    known: int = 0
    """Those that carry usage of a model whose price genai-prices knows, or that say their cost."""
    priced: int = 0
    """Those of them whose price is right to the last digit."""
    wrong: list[tuple[str, str]] = field(default_factory=list)


async def replay(
    data_dir: Path,
    played: list[Playback],
    *,
    in_chunks: bool = False,
    signing: AwsSigning | None = None,
) -> Tally:
    """Play one answer after the other over one connection, and compare everything.

    `in_chunks` sends requests so; with `signing` the routes sign, and each signature is checked.
    """
    tally = Tally(exchanges=len(played))
    recorded = await replay_all(data_dir, played, tally, in_chunks, signing)
    for playback, exchange in zip(played, recorded, strict=True):
        _compare_ending(playback.tape, exchange, tally)
        _compare_tokens(playback.tape, exchange.close, tally)
        _compare_cost(playback.tape, exchange, tally)
    return tally


async def replay_all(
    data_dir: Path,
    played: list[Playback],
    tally: Tally,
    in_chunks: bool = False,
    signing: AwsSigning | None = None,
) -> list[Recorded]:
    """Play all of them, compare bytes, and give the records in their order."""
    player = Player()
    async with RawOrigin(player) as origin:
        names = {playback.tape.recording.route for playback in played}
        routes = {
            name: RouteSettings(
                url=origin.url,
                kind="llm",
                provider=name,
                sign="aws" if signing else "",
                aws=signing or AwsSigning(),
            )
            for name in names
        }
        settings = settings_for(data_dir, origin, routes=routes)
        async with running(settings) as proxy:
            async with await proxy.connect(record=False) as client:
                for playback in played:
                    player.playing = playback
                    origin.requests.clear()
                    name = playback.tape.recording.route
                    pieces = pieces_of_request(name, playback.tape, in_chunks)
                    answer = await _call(client, pieces)
                    if signing:
                        _check_signatures(origin, signing, playback.tape, tally)
                    left_out = _OF_A_SIGNATURE if signing else ()
                    _compare_bytes(playback, origin.requests, answer, tally, left_out)
            recorded = await proxy.ended(len(played))
    assert not origin.violations
    assert [len(each.opens) for each in recorded] == [1] * len(played)
    return recorded


def moment_of(exchange: Recorded) -> datetime:
    """Give the time at which an exchange was admitted, which is the one that prices hold for."""
    return datetime.fromtimestamp(exchange.open.ts_us / 1e6, UTC)


async def _call(client: RawClient, pieces: list[bytes]) -> Message:
    for piece in pieces:
        await client.send(piece)
        await asyncio.sleep(0)
    return await client.response()


def _compare_bytes(
    playback: Playback,
    requests: list[Message],
    answer: Message,
    tally: Tally,
    left_out: tuple[bytes, ...],
) -> None:
    (request,) = requests
    tape = playback.tape
    injected = request.body != tape.request_body
    wrong = list(_wrong_in_request(tape, request, injected, left_out))
    wrong += _wrong_in_answer(playback, answer, injected, tally)
    tally.identical += not wrong
    tally.injected += injected
    tally.wrong += [(tape.id, each) for each in wrong]


_OF_A_SIGNATURE = (b"x-amz-date", b"x-amz-content-sha256", b"authorization", b"date")


def _check_signatures(
    origin: RawOrigin, signing: AwsSigning, tape: Tape, tally: Tally
) -> None:
    (request,) = origin.requests
    host = f"127.0.0.1:{origin.port}"
    problem = signature_problem(request, signing.region, host)
    if problem:
        tally.wrong.append((tape.id, problem))


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


def _wrong_in_request(
    tape: Tape, request: Message, injected: bool, left_out: tuple[bytes, ...]
) -> list[str]:
    expected = [(n, v) for n, v in tape.request_headers if n.lower() not in left_out]
    if injected:
        expected = [
            (n, b"identity" if n.lower() == b"accept-encoding" else v)
            for n, v in expected
        ]
    facts = {
        "method": request.method == tape.method,
        "target": request.target == tape.target,
        "request headers": request.without(*_FRAMING, *left_out) == expected,
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


def _compare_ending(tape: Tape, exchange: Recorded, tally: Tally) -> None:
    failed = tape.status >= 400
    outcome = Outcome.REJECTED if failed else Outcome.COMPLETED
    found = {exchange.close.outcome, exchange.end.outcome}
    is_told = bool(exchange.close.error_type) == failed
    if found != {outcome} or not is_told:
        tally.wrong.append((tape.id, f"{found}, {exchange.close.error_type!r}"))


def _compare_tokens(tape: Tape, close: Close, tally: Tally) -> None:
    expected = expected_buckets(tape.recording)
    if tape.status >= 300 or expected is None:
        if close.usage_source in (UsageSource.PROVIDER, UsageSource.PARTIAL):
            tally.wrong.append((tape.id, f"usage from nowhere: {close.usage}"))
        return
    tally.carrying += 1
    found = msgspec.structs.asdict(close.usage)
    exact = tape.recording.provider in OTHER_SHAPES or found == said_buckets(tape)
    known = {name: count for name, count in found.items() if count}
    if known == expected and exact and close.usage_source is UsageSource.PROVIDER:
        tally.equal += 1
    else:
        tally.wrong.append(
            (tape.id, f"{close.usage_source}: {found}, said: {expected}")
        )


def _compare_cost(tape: Tape, exchange: Recorded, tally: Tally) -> None:
    expected = expected_cost_of(tape.recording, moment_of(exchange))
    cost = exchange.close.cost
    if expected is None or tape.status >= 300:
        if exchange.close.usage_source is UsageSource.PROVIDER and cost.source in (
            CostSource.COMPUTED,
            CostSource.PROVIDER,
        ):
            tally.wrong.append((tape.id, f"a price from nowhere: {cost}"))
        return
    tally.known += 1
    parts = {
        name: amount
        for name, amount in msgspec.structs.asdict(cost).items()
        if name in expected.parts and amount
    }
    right = (
        cost.total() == expected.total
        and cost.source
        is (CostSource.PROVIDER if expected.own else CostSource.COMPUTED)
        and (expected.own or parts == {n: a for n, a in expected.parts.items() if a})
    )
    tally.priced += right
    if not right:
        tally.wrong.append((tape.id, f"cost: {cost}, expected: {expected}"))
