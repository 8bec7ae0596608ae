"""What is wrong with the calls that an answer asks for.

What lives here: checking names and arguments against what the request offers. What does not: reading definitions (`offers.py`), understanding a
schema (`argument_schemas.py`), what is done about it (`tool_calls.py`).

Each call is looked at once, when its answer ends, and what was found stands in its row. A false alarm is worse than a miss: where the request
cannot be read, the provider keeps tools of its own, or an answer was cut, nothing is said of what that leaves open. An answer without calls costs
nothing: definitions are read when a call asks for it, and kept with their validators for the next request that has the same.
"""

from collections import OrderedDict
from enum import StrEnum
from typing import Any

import msgspec
from xxhash import xxh3_128

from proxy.judge.argument_schemas import Schema, understand
from proxy.judge.offers import Definitions, Offer, Offers, Takes, definitions, offers
from proxy.judge.schema_weights import MAX_VALUES, measured
from proxy.meter import lenient
from proxy.model import Reading, ToolCall

MAX_KNOWN = 256
MAX_KNOWN_BYTES = 8 << 20
MAX_CHECKED_BYTES = 256 << 10
"""Longer arguments are read, but not held against a schema."""
WORK = 2_000_000
"""For all calls of an answer, in checks of one value: some 90 ms at worst for schemas and arguments made to be slow. An honest call takes some hundred."""
_ANY = msgspec.json.Decoder()
_PANIC = "PanicException"


class Problem(StrEnum):
    """What is wrong with a call; the column `call_problem`."""

    NONE = ""
    UNKNOWN_TOOL = "unknown_tool"
    BAD_JSON = "bad_json"
    BAD_ARGUMENTS = "bad_arguments"


class Checked(msgspec.Struct, frozen=True):
    """What was found of one call."""

    problem: Problem = Problem.NONE
    where: str = ""
    """The assertion that does not hold, as its path in the schema; nothing of the arguments is in it."""
    is_unchecked: bool = False
    """Its arguments were not held against their schema: it is not understood, or that would take too long."""


_FINE = Checked()
_UNCHECKED = Checked(is_unchecked=True)
_UNKNOWN = Checked(Problem.UNKNOWN_TOOL)
_BROKEN = Checked(Problem.BAD_JSON)


class Checker:
    """Checks the calls of answers; one for a worker."""

    def __init__(self, seed: int) -> None:
        """`seed` keys the hashes by which definitions are known again."""
        self._seed = seed
        self._known: OrderedDict[bytes, _Tools] = OrderedDict()
        self._known_bytes = 0

    def check(self, body: bytes | None, reading: Reading) -> tuple[Checked, ...]:
        """Check the calls of an answer to this request; `None` for one that was not read. Each call gets one result."""
        calls = reading.tool_calls
        tools = self._offered(body) if calls else None
        if tools is None:
            return (_FINE,) * len(calls)
        check = _Check(tools, is_whole=_is_whole(reading))
        return tuple(map(check.of, calls))

    def offers(self, body: bytes | None) -> Offers | None:
        """Give the tools of a request; `None` for one that was not read."""
        tools = self._offered(body)
        return None if tools is None else tools.offers

    def _offered(self, body: bytes | None) -> "_Tools | None":
        found = definitions(body) if body else None
        if found is None:
            return None
        key = self._key(found)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        made = self._known[key] = _Tools(offers(found), found.size())
        self._known_bytes += made.size
        while len(self._known) > MAX_KNOWN or self._known_bytes > MAX_KNOWN_BYTES:
            _, forgotten = self._known.popitem(last=False)
            self._known_bytes -= forgotten.size
        return made

    def _key(self, found: Definitions) -> bytes:
        hashed = xxh3_128(b"+" if found.keeps_others() else b"-", seed=self._seed)
        for raw in found.written():
            hashed.update(raw)
            hashed.update(b"\0")  # stands in no JSON
        return hashed.digest()


class _Tools:
    """The tools of requests, and the schemas of those that were called."""

    def __init__(self, found: Offers, size: int) -> None:
        self.offers = found
        self.size = size
        self._schemas: dict[str, Schema | None] = {}

    def schema(self, offer: Offer, most: int) -> tuple[Schema | None, int]:
        """Give the validator of a tool's arguments, and what it took to make it; `None` where that cannot be, or takes more than there is."""
        if offer.name in self._schemas:
            return self._schemas[offer.name], 0
        made, work = understand(offer.schema, most)
        if made is not None or most == WORK or work <= most:
            self._schemas[offer.name] = made
        return made, min(work, most)


class _Check:
    """The check of one answer."""

    def __init__(self, tools: _Tools, *, is_whole: bool) -> None:
        self._tools = tools
        self._is_whole = is_whole
        self._work = WORK

    def of(self, call: ToolCall) -> Checked:
        """Check one call."""
        offer = self._tools.offers.tools.get(call.name)
        if offer is None:
            return _UNKNOWN if self._tools.offers.is_all else _FINE
        if offer.takes is not Takes.OBJECT or not self._is_whole:
            return _FINE
        try:
            arguments = _read(call.arguments)
        except RecursionError:
            return _UNCHECKED
        except ValueError:
            return _BROKEN
        if not isinstance(arguments, dict):
            return Checked(Problem.BAD_ARGUMENTS, "type")
        return self._held(arguments, len(call.arguments), offer)

    def _held(self, arguments: dict[str, Any], size: int, offer: Offer) -> Checked:
        """Hold arguments against the schema. A panic of the validator's must not reach the agent, and is no `Exception`."""
        if not offer.schema:
            return _FINE
        if size > MAX_CHECKED_BYTES:
            return _UNCHECKED
        try:
            return self._validated(arguments, size, offer)
        except (ValueError, RecursionError):
            return _UNCHECKED
        except BaseException as error:
            if type(error).__name__ != _PANIC:
                raise
            return _UNCHECKED

    def _validated(self, arguments: dict[str, Any], size: int, offer: Offer) -> Checked:
        schema, work = self._tools.schema(offer, self._work)
        self._work -= work
        values, depth = measured(arguments)
        if schema is None or values > MAX_VALUES:
            return _UNCHECKED
        if not self._may(schema.work(values, depth, size)):
            return _UNCHECKED
        if schema.fits(arguments):
            return _FINE
        if not self._may(schema.work_of_telling(values, depth)):
            return Checked(Problem.BAD_ARGUMENTS) if schema.is_sure else _UNCHECKED
        where = schema.where(arguments)
        return _UNCHECKED if where is None else Checked(Problem.BAD_ARGUMENTS, where)

    def _may(self, work: int) -> bool:
        """Take so much of what the answer may cost, where there is that much left."""
        if work > self._work:
            return False
        self._work -= work
        return True


def _read(arguments: bytes) -> Any:
    """Read arguments; nothing at all, or `null`, is how several models and interfaces say that there are none."""
    text = arguments.strip()
    found = lenient.load(_ANY, text) if text else None
    return {} if found is None else found


def _is_whole(reading: Reading) -> bool:
    """Tell whether nothing of an answer is missing."""
    ended = reading.terminal or not reading.expects_terminal
    return ended and not reading.malformed and not reading.error_in_stream
