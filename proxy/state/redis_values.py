"""Runs, facts and changes as Redis holds them.

What lives here: writing the arguments of the scripts and reading their replies. What does not: the scripts (`redis_scripts.py`), the
connection (`redis_line.py`). Pure.
"""

import struct
from collections.abc import Mapping, Sequence

import msgspec

from proxy.identify.changes import Change, Keep, Lead, Push, Shelf, Wait
from proxy.identify.facts import (
    Asked,
    Calls,
    Fact,
    Link,
    Run,
    Session,
    Waiting,
    Waits,
)
from proxy.identify.hashing import digest, key, utf8
from proxy.model import RunOutcome
from proxy.state.totals import Totals

MAX_ATTEMPT = 9999
MAX_STEP = 99_999_999

_encode = msgspec.msgpack.Encoder().encode
_read_asked = msgspec.msgpack.Decoder(Asked).decode
_read_link = msgspec.msgpack.Decoder(Link).decode
_read_session = msgspec.msgpack.Decoder(Session).decode
_read_waits = msgspec.msgpack.Decoder(Waits).decode


class Names:
    """The names of all keys of one installation: whoever has another secret shares nothing."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.prefix = b"tacho:%016x:" % digest(seed, b"redis")

    def run(self, tenant: str, run_id: str) -> bytes:
        """Give the eight bytes that stand for a run; for none, none."""
        if not run_id:
            return b""
        return key(self._seed, b"run", tenant, run_id).to_bytes(8, "big")

    def facts(self, keys: Sequence[int]) -> bytes:
        """Give the names of facts, one after the other."""
        return struct.pack(f">{len(keys)}Q", *keys)


def time_of(now_us: int) -> bytes:
    """Write a time so that texts compare as times do."""
    return b"%016d" % max(now_us, 0)


def admission(run: Run) -> list[bytes]:
    """Write a run as it is admitted: the arguments of `ADMIT` that are texts."""
    texts = (run.tenant, run.run_id, run.root_run_id, run.parent_run_id, run.session_id, run.agent, run.source)  # fmt: skip
    return [*map(utf8, texts), b"%d" % run.began_us]


def turn_of(run: Run) -> bytes:
    """Write the turn so that texts compare as numbers do."""
    return b"%08d" % min(max(run.turn_seq, 0), MAX_STEP)


def written(changes: Sequence[Change], tenant: str, names: Names) -> list[bytes]:
    """Write changes, one argument each."""
    told: dict[str, bytes] = {}
    blobs: dict[int, bytes] = {}
    found = []
    for change in changes:
        if isinstance(change, Push):
            asked = change.asked
            if asked.run_id not in told:
                told[asked.run_id] = names.run(tenant, asked.run_id)
            if id(asked) not in blobs:
                blobs[id(asked)] = _call(asked)
            head = b"p%b%d%b" % (change.key.to_bytes(8, "big"), change.shelf, told[asked.run_id])  # fmt: skip
            found.append(head + blobs[id(asked)])
        elif isinstance(change, Lead):
            run_id = change.link.run_id
            if run_id not in told:
                told[run_id] = names.run(tenant, run_id)
            found.append(b"l%b%d%b%b" % (change.key.to_bytes(8, "big"), change.shelf, told[run_id], _encode(change.link)))  # fmt: skip
        elif isinstance(change, Wait):
            waits = change.waits
            run = names.run(tenant, waits.run_id)
            found.append(b"w%b%b%d%b%b" % (change.key.to_bytes(8, "big"), run, bool(waits.tools), time_of(waits.since_us), _encode(waits)))  # fmt: skip
        else:
            found.append(_kept(change))
    return found


def _kept(change: Keep) -> bytes:
    session = change.session
    return b"s%b%b%b" % (change.key.to_bytes(8, "big"), time_of(session.seen_us), _encode(session))  # fmt: skip


def _call(asked: Asked) -> bytes:
    step, by = utf8(asked.step_id), utf8(asked.continued_by)
    number, attempt = min(asked.step_seq, MAX_STEP), min(asked.attempt, MAX_ATTEMPT)
    return b"%03d%b%08d%04d%b%03d%b%b" % (
        len(step), step, number, attempt, time_of(asked.seen_us), len(by), by, _encode(asked),
    )  # fmt: skip


def strays(changes: Sequence[Change]) -> list[bytes]:
    """Write calls of no run as `STRAY` takes them: key, step, and the call; nothing instead of one that is done."""
    found: list[bytes] = []
    for change in changes:
        if isinstance(change, Push):
            asked = change.asked
            step = utf8(asked.step_id)
            value = b"" if asked.state == "done" else b"a" + _call(asked)[3 + len(step) :]  # fmt: skip
            found += [change.key.to_bytes(8, "big"), step, value]
    return found


def facts_of(keys: Sequence[int], reply: Sequence[object]) -> dict[int, Fact]:
    """Read what `LOOK` replied. What another version wrote is not known."""
    found: dict[int, Fact] = {}
    for at in range(0, len(reply), 2):
        place, values = reply[at], reply[at + 1]
        assert isinstance(place, int)
        assert isinstance(values, list)
        fact = _fact(values)
        if fact is not None:
            found[keys[place]] = fact
    return found


def _fact(values: list[bytes]) -> Fact | None:
    """Read one fact; which values it has says of which kind it is."""
    kind = values[0][:1]
    try:
        if kind == b"a":
            return _calls(values)
        if kind in b"olx":
            return _link(values)
        if kind == b"s":
            return _read_session(values[0][17:])
        return _waiting(values)
    except (msgspec.MsgspecError, ValueError):
        return None


def _calls(values: list[bytes]) -> Calls:
    asked = [_asked(value) for value in values]
    if len(asked) > 1:
        asked.sort(key=lambda each: (each.seen_us, each.step_seq))
    return Calls(tuple(asked))


def _asked(value: bytes) -> Asked:
    told = 32 + int(value[29:32])
    call = _read_asked(value[told:])
    number = int(value[1:9])
    return call if call.step_seq == number else msgspec.structs.replace(call, step_seq=number)  # fmt: skip


def calls_of(reply: Sequence[object]) -> list[Push]:
    """Read what `OWN` replied. What another version wrote is not known."""
    found = []
    for at in range(0, len(reply), 3):
        shelf, where, value = reply[at : at + 3]
        assert isinstance(shelf, int)
        assert isinstance(where, bytes)
        assert isinstance(value, bytes)
        try:
            found.append(Push(int.from_bytes(where, "big"), Shelf(shelf), _asked(value)))  # fmt: skip
        except (msgspec.MsgspecError, ValueError):
            continue
    return found


def died_of(reply: Sequence[object]) -> list[Push]:
    """Say of the calls that `OWN` replied and that nobody answered that they failed."""
    return [
        msgspec.structs.replace(each, asked=msgspec.structs.replace(each.asked, state="failed"))
        for each in calls_of(reply)
        if each.asked.state == "open"
    ]  # fmt: skip


def _link(values: list[bytes]) -> Link | None:
    written = [each for each in values if each[:1] == b"l"]
    if not written:
        return None
    link = _read_link(written[0][1:])
    return Link(link.run_id, is_ambiguous=True) if b"x" in values else link


def _waiting(values: list[bytes]) -> Waiting:
    runs = [_read_waits(each[17:]) for each in values if each[:1] == b"w"]
    crowded = [int(each[1:]) for each in values if each[:1] == b"c"]
    runs.sort(key=lambda each: each.since_us)
    return Waiting(tuple(runs), *crowded)


def run_of(pairs: Sequence[bytes]) -> Run:
    """Read a run's hash."""
    told = _told(pairs)
    text = {name: told[name].decode("utf-8", "surrogatepass") for name in _TEXTS}
    return Run(
        text[b"tenant"], text[b"run"], text[b"root"], text[b"parent"], text[b"session"], text[b"agent"], text[b"source"],
        int(told[b"turn"]), int(told[b"step"]), int(told[b"began"]), int(told[b"seen"]), b"ended" in told,
    )  # fmt: skip


def totals_of(pairs: Sequence[bytes]) -> Totals:
    """Read from a run's hash what it has come to."""
    told = _told(pairs)
    attempts, retries, cost, tokens = (int(told.get(each, 0)) for each in (b"attempts", b"retries", b"cost", b"tokens"))  # fmt: skip
    inferred = RunOutcome(told.get(b"inferred", RunOutcome.ENDED.encode()).decode())
    return Totals(attempts, retries, cost, tokens, inferred, told.get(b"reported", b"").decode())  # fmt: skip


def spent_of(totals: Totals) -> list[bytes]:
    """Write what is to be added: the arguments of `NOTE` that say so."""
    numbers = (totals.attempts, totals.retries, totals.cost, totals.tokens)
    said = (totals.inferred.encode(), utf8(totals.reported))
    return [*(b"%d" % each for each in numbers), *said]


_TEXTS = (b"tenant", b"run", b"root", b"parent", b"session", b"agent", b"source")


def _told(pairs: Sequence[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))
