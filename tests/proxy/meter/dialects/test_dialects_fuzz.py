"""No answer and no request makes any dialect raise: broken, spliced, absurd or hostile, whole or in pieces."""

import copy
import json
import random
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.meter.book import PriceBook
from proxy.meter.dialect import Dialect, Head, Operation
from proxy.meter.dialects import DIALECTS
from proxy.meter.estimate import settle
from proxy.meter.prices import PriceTable
from proxy.meter.rates import Billed
from proxy.meter.shares import share
from proxy.meter.tee import Tee
from proxy.meter.terms import Place
from proxy.model import CostSource, Reading
from tests.helpers.eventstream import event, frame
from tests.helpers.metering import LIMIT, seeded_slices
from tests.helpers.recordings import NAMES, SUBSET, Recording, recordings

RECORDINGS = list(recordings(SUBSET, *NAMES))
BOOK = PriceBook(PriceTable.load())
SMALL = [each for each in RECORDINGS if len(each.body) < 6_000]
FAMILIES = sorted({(each.provider, each.api, each.streamed) for each in SMALL})

PATHS = (
    "/v1/complete",
    "/v1/images/generations",
    "/v1/moderations",
    "/v1/threads/thread_1/runs",
    "/v1/responses/resp_1",
    "/v1/conversations",
    "/async/chat/completions",
    "/async/chat/completions/id-1",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/tags",
    "/completion",
    "/infill",
    "/embedding",
    "/generate",
    "/generate_stream",
    "/v1/embed",
    "/v2/embed",
    "/v1/rerank",
    "/v2/rerank",
    "/v1/multimodalembeddings",
    "/v1beta/models/gemini-2.5-flash:embedContent",
    "/v1beta/models/gemini-2.5-flash:countTokens",
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
    "/v1beta/cachedContents",
    "/v1beta/interactions",
    "/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4-5:rawPredict",
    "/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4-5:streamRawPredict",
    "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict",
    "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:predict",
    "/model/anthropic.claude-v2/invoke",
    "/model/anthropic.claude-v2/invoke-with-response-stream",
    "/model/anthropic.claude-v2/converse",
    "/model/anthropic.claude-v2/converse-stream",
    "/model/anthropic.claude-v2/count-tokens",
    "/mcp",
    "/",
    *sorted({each.path for each in RECORDINGS}),
)


def _operations(dialect: Dialect) -> list[Operation]:
    found = {
        operation
        for path in PATHS
        for method in ("POST", "GET")
        if (operation := dialect.operation(method, path)) is not None
    }
    return sorted(found, key=repr)


OPERATIONS = {dialect.name: _operations(dialect) for dialect in DIALECTS}

TYPES = (
    "",
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
)
ABSURD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    -(2**63),
    2**64,
    1e308,
    0.5,
    "",
    "7",
    "x" * 300,
    "\ud800",
    [],
    [[]],
    [None],
    {},
    {"": {}},
    [{"index": -1}, {"index": 10**9}],
    {"prompt_tokens": -5, "input_tokens": "many", "output_tokens": 2**70},
)
SPLICES = (
    b"",
    b"\n\n",
    b"\r\n\r\n",
    b"data: ",
    b"data: [DONE]\n\n",
    b"event: error\ndata: {}\n\n",
    b"data: null\n\n",
    b"\x00\xff\xfe",
    b"\xef\xbb\xbf",
    b"1e999",
    b"9" * 400,
    b"[" * 5_000,
    b'{"a":' * 5_000,
    b'"',
    b"\\u0000\\ud800",
    b"}{",
    b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2\x48\xeb\x7d\x98\xc8\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
)

fuzzed = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
over_dialects = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
seeds = st.integers(0, 2**32)


def test_every_dialect_knows_one_of_the_paths():
    assert [name for name, found in OPERATIONS.items() if not found] == []


def mutated(body: bytes, dice: random.Random) -> bytes:
    """Break a body in one to four ways."""
    for _ in range(dice.randint(1, 4)):
        at, end = sorted(dice.randrange(len(body) + 1) for _ in range(2))
        match dice.randrange(6):
            case 0:
                body = body[:at]
            case 1:
                body = body[at:]
            case 2:
                body = body[:at] + dice.choice(SPLICES) + body[at:]
            case 3:
                body = body[:at] + dice.choice(SMALL).body[-500:] + body[end:]
            case 4:
                body = body[:at] + body[end:]
            case _:
                body = body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :]
    return body


def twisted(body: bytes, dice: random.Random) -> bytes:
    """Put values of wrong types and sizes into JSON, wherever it stands in a body."""
    lines = body.split(b"\n")
    for index, line in enumerate(lines):
        head, brace, rest = line.partition(b"{")
        whole = [brace + rest, body][len(lines) < 3 or body.startswith(b"{")]
        try:
            value = json.loads(whole)
        except ValueError:
            continue
        for _ in range(dice.randint(1, 3)):
            value = _twist(value, dice)
        text = json.dumps(value).encode()
        if whole is body:
            return text
        lines[index] = head + text
    return b"\n".join(lines)


def _twist(value: Any, dice: random.Random) -> Any:
    """Replace one value somewhere in it."""
    if dice.random() < 0.15 or not value or not isinstance(value, dict | list):
        return copy.deepcopy(dice.choice(ABSURD))
    key = dice.choice(list(value) if isinstance(value, dict) else range(len(value)))
    value[key] = _twist(value[key], dice)
    return value


def feed(
    dialect: Dialect, operation: Operation, request: bytes, body: bytes, seed: int
) -> Reading:
    """Read an answer in pieces; nothing may raise, and what was read can be written."""
    dice = random.Random(seed)
    ask = dialect.read_request(operation, request)
    head = Head(
        dice.choice((200, 200, 200, 201, 400, 401, 429, 500, 529)),
        dice.choice(TYPES),
        [(b"x-amzn-bedrock-input-token-count", dice.choice((b"3", b"-1", b"x", b"")))],
    )
    tee = Tee(dialect.reader(ask, head), "", LIMIT)
    chunks = seeded_slices(body, str(seed)) if dice.random() < 0.7 else [body]
    looks = {dice.randrange(len(chunks) + 1) for _ in range(3)}
    for index, chunk in enumerate(chunks):
        tee.feed(chunk)
        if index in looks:
            tee.reading()
    reading = tee.reading()
    assert tee.failures == 0
    assert tee.reading() == reading
    assert isinstance(tee.terminal, bool)
    assert isinstance(tee.output_started, bool)
    assert msgspec.msgpack.encode(reading)
    assert reading.usage is None or all(
        count is None or 0 <= count < 2**63 for count in reading.usage.buckets()
    )
    assert all(0 <= count < 2**63 for _, count in reading.details)
    assert reading.cost is None or 0 <= reading.cost < 2**63
    return reading


def _recorded(dice: random.Random) -> Recording:
    """Choose a family first, so that each has its turn."""
    family = dice.choice(FAMILIES)
    return dice.choice([e for e in SMALL if (e.provider, e.api, e.streamed) == family])


@over_dialects
@fuzzed
@given(seed=seeds)
def test_broken_answers_never_raise(dialect: Dialect, seed: int):
    dice = random.Random(seed)
    found = _recorded(dice)
    body = mutated(found.body, dice)
    operation = dice.choice(OPERATIONS[dialect.name])
    feed(dialect, operation, found.request_body, body, seed)


@over_dialects
@fuzzed
@given(seed=seeds)
def test_answers_of_wrong_types_never_raise(dialect: Dialect, seed: int):
    dice = random.Random(seed)
    found = _recorded(dice)
    body = twisted(found.body, dice)
    operation = dice.choice(OPERATIONS[dialect.name])
    feed(dialect, operation, found.request_body, body, seed)


@over_dialects
@fuzzed
@given(seed=seeds)
def test_whatever_was_read_can_be_settled_and_priced(dialect: Dialect, seed: int):
    dice = random.Random(seed)
    found = _recorded(dice)
    body = dice.choice((mutated, twisted))(found.body, dice)
    operation = dice.choice(OPERATIONS[dialect.name])
    reading = feed(dialect, operation, found.request_body, body, seed)
    ask = dialect.read_request(operation, found.request_body)
    usage, _ = settle(ask, reading, 200, dice.random() < 0.5, len(body))
    assert all(count is None or count >= 0 for count in usage.buckets())
    model = reading.model or ask.model or "gpt-4o"
    billed = Billed(
        usage, reading.details, reading.server_tool_uses, 0, reading.service_tier
    )
    cost = BOOK.price(Place(found.route, model, "", ""), billed)
    assert (cost.total() is None) is (cost.source is CostSource.UNPRICED)
    shared = share(reading.cost, [cost])[0] if reading.cost is not None else cost
    for each in (cost, shared):
        assert all(part is None or part >= 0 for part in each.parts())


@over_dialects
@fuzzed
@given(body=st.binary(max_size=2_000), seed=seeds)
def test_random_bytes_never_raise(dialect: Dialect, body: bytes, seed: int):
    operation = random.Random(seed).choice(OPERATIONS[dialect.name])
    feed(dialect, operation, body, body, seed)


@over_dialects
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'data: {"usage":' + b'{"a":' * 50_000 + b"\n\n",
        b'{"usage":{"prompt_tokens":' + b"9" * 5_000 + b"}}",
        b'{"usage":{"prompt_tokens":1e999}}',
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":99999999999}]}}]}\n\n'
        * 50,
        b"data:" * 20_000,
        b"\n" * 100_000,
        b" " * 100_000,
        b"\xff" * 10_000,
        b"\x00" * 10_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_hostile_answers_never_raise(dialect: Dialect, body: bytes):
    by_name = {operation.name: operation for operation in OPERATIONS[dialect.name]}
    for seed, operation in enumerate(by_name.values()):
        feed(dialect, operation, body, body, seed)


MEMBERS = ("messages", "input", "contents", "choices", "usage", "content", "outputs")
NESTS = ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"content":', b"}]"))
DEPTHS = (400, 990, 100_000)
"""Readable, at the edge of what the decoder takes, and beyond it by far."""


def _nested(depth: int) -> list[bytes]:
    bare = [start * depth + b"1" + end * depth for start, end in NESTS]
    named = [b'{"%b":%b}' % (m.encode(), nest) for m in MEMBERS for nest in bare[:2]]
    framed = [
        event("chunk", bytes=b64encode(bare[1][:60_000]).decode()),
        frame({":event-type": "metadata", ":message-type": "event"}, bare[1][:60_000]),
    ]
    return [*bare, *named, *(b"data: %b\n\n" % nest for nest in bare), *framed]


@over_dialects
@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_nesting_neither_raises_nor_ends_the_process(dialect: Dialect, depth: int):
    by_name = {operation.name: operation for operation in OPERATIONS[dialect.name]}
    for body in _nested(depth):
        for operation in by_name.values():
            assert dialect.read_request(operation, body).dialect == dialect.name
            ask = dialect.read_request(operation, b"{}")
            for content_type in ("application/json", "text/event-stream", TYPES[-1]):
                tee = Tee(dialect.reader(ask, Head(200, content_type)), "", LIMIT)
                tee.feed(body)
                tee.reading()
                assert tee.failures == 0


@over_dialects
@fuzzed
@given(seed=seeds)
def test_broken_requests_never_raise(dialect: Dialect, seed: int):
    dice = random.Random(seed)
    body = _recorded(dice).request_body
    body = dice.choice((mutated, twisted))(body, dice)
    for operation in OPERATIONS[dialect.name]:
        ask = dialect.read_request(operation, dice.choice((body, None, b"")))
        assert ask.dialect == dialect.name
        assert ask.max_output_tokens is None or 0 <= ask.max_output_tokens < 2**63
        assert msgspec.msgpack.encode(ask)


@pytest.mark.big
@pytest.mark.timeout(600)
@over_dialects
@settings(fuzzed, max_examples=1_500)
@given(seed=seeds)
def test_many_broken_answers_never_raise(dialect: Dialect, seed: int):
    dice = random.Random(seed)
    found = _recorded(dice)
    body = dice.choice((mutated, twisted))(found.body, dice)
    operation = dice.choice(OPERATIONS[dialect.name])
    feed(dialect, operation, found.request_body, body, seed)
