"""Runs that were stopped go on: who is meant, what is written down, and what is answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proxy import allowing as module
from proxy.allowing import Allowing, Around
from proxy.identify.facts import Run
from proxy.judge.claims import Change, owner_of
from proxy.record.batches import SpoolOptions
from proxy.record.codec import Event, Memo, decode
from proxy.record.spool import SpoolWriter
from proxy.state import tally
from proxy.state.accounts import Accounts
from proxy.state.finding import Finding
from proxy.state.memory import MemoryState
from tests.helpers.records import frames, read_spool
from tests.helpers.runs.tracking import DAY_US

pytestmark = pytest.mark.blocking_allowed  # makes and reads a spool
NOW_US = 1_790_000_000_000_000
RUNS = [
    Run("t", "root", "root", "", "s1", "writer", seen_us=NOW_US),
    Run("t", "child-1", "root", "root", "s1", "helper", seen_us=NOW_US),
    Run("t", "alone", "alone", "", "", "writer", seen_us=NOW_US),
    Run("t", "both", "both", "", "s2", "writer", seen_us=NOW_US),
    Run("u", "both", "both", "", "s2", "writer", seen_us=NOW_US),
    Run("u", "other", "other", "", "s3", "writer", seen_us=NOW_US),
    Run("u", "another", "another", "", "s3", "writer", seen_us=NOW_US),
]


@dataclass
class Told:
    """What letting runs go on told."""

    events: list[Event] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Desk:
    """A worker's part in it, with a spool of its own."""

    def __init__(self, state: Any, spool: Any) -> None:
        self.told = Told()
        self.state = state
        ids = iter(range(1000))
        self.allowing = Allowing(
            Around(
                state, spool, 7, 1800.0, lambda: NOW_US, lambda: NOW_US * 1000, self.told.events.append,
                self.told.faults.append, lambda: f"id-{next(ids)}",
            )
        )  # fmt: skip

    async def ask(self, run: str, **more: Any) -> tuple[int, Any]:
        status, said = await self.allowing.take(json.dumps({"run": run, **more}).encode())  # fmt: skip
        return status, said

    async def message(self, run: str, **more: Any) -> tuple[int, str]:
        status, said = await self.ask(run, **more)
        return status, said["error"]["message"]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[SpoolWriter]:
    made = SpoolWriter(tmp_path / "spool", "w0", "0" * 32, SpoolOptions(wait_ms=10_000), now_us=lambda: NOW_US)  # fmt: skip
    made.start()
    yield made
    await asyncio.to_thread(made.close)


@pytest.fixture
async def desk(spool: SpoolWriter) -> Desk:
    state = MemoryState(100, DAY_US)
    for run in RUNS:
        await state.admit(run, [], is_step=True)
    return Desk(state, spool)


def allowed(desk: Desk) -> set[str]:
    return set(desk.state.accounts.books.allowed)


async def test_the_root_of_a_run_goes_on_and_its_session_only_where_that_is_said(desk: Desk):  # fmt: skip
    status, said = await desk.ask("child-1")
    assert status == 200
    assert said == {"allowed": True, "tenant": "t", "run": "child-1", "root": "root", "session": "", "recorded": True}  # fmt: skip
    assert allowed(desk) == {owner_of("t", "root")}
    _, said = await desk.ask("roo", session=True)
    assert (said["run"], said["session"]) == ("root", "s1")
    assert allowed(desk) == {owner_of("t", "root"), owner_of("t", "s1")}
    _, said = await desk.ask("alone", session=True)  # it has none
    assert (said["run"], said["session"]) == ("alone", "")


async def test_a_session_goes_on_by_its_own_name_though_none_of_its_runs_may_live(desk: Desk):  # fmt: skip
    assert (await desk.ask("s3", session=True))[1]["session"] == "s3"
    status, said = await desk.message("s9", session=True)
    assert (status, "needs its tenant, too (--tenant)" in said) == (404, True)
    assert (await desk.ask("s9", session=True, tenant="t"))[0] == 200
    assert allowed(desk) == {owner_of("u", "s3"), owner_of("t", "s9")}
    assert [(each.source, each.run_id) for each in desk.told.events] == [("session", "")] * 2  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "status", "said"),
    [
        ({"run": "nobody"}, 404, "no run that lives is called nobody, or begins so; a run ends 30 min after its last call, and if it comes back then, its limits begin anew by themselves; see: tacho runs"),
        ({"run": "alone", "tenant": "u"}, 404, "no run of tenant u that lives is called alone, or begins so"),
        ({"run": "both"}, 409, "both is known in tenants t, u; say which: --tenant"),
        ({"run": "s2", "session": True}, 409, "s2 is known in tenants t, u"),
        ({"run": "b", "tenant": "x"}, 404, "no run of tenant x"),
        ({"run": "", "tenant": "u"}, 400, "names no run"),
    ],
)  # fmt: skip
async def test_who_is_not_known_or_not_alone_is_not_let_go_on(desk: Desk, wish: dict[str, Any], status: int, said: str):  # fmt: skip
    found, message = await desk.message(**wish)
    assert (found, said in message) == (status, True), message
    assert allowed(desk) == set()
    assert desk.told.events == []


async def test_a_beginning_that_fits_several_runs_is_shown_with_some_of_them(desk: Desk):  # fmt: skip
    for number in range(7):
        await desk.state.admit(Run("t", f"zz-{number}", f"zz-{number}", seen_us=NOW_US), [], is_step=True)  # fmt: skip
    status, said = await desk.message("zz")
    assert (status, said) == (409, "7 runs begin so: zz-0, zz-1, zz-2, zz-3, zz-4 and 2 more; give more of the id")  # fmt: skip
    assert (await desk.ask("both", tenant="u"))[1]["tenant"] == "u"


async def test_the_same_wish_again_is_answered_alike_and_changes_nothing(desk: Desk):
    found = [await desk.ask("alone", id="w1") for _ in range(2)]
    assert found[0] == found[1]
    number = desk.state.accounts.books.allowed[owner_of("t", "alone")][1]
    assert len(desk.told.events) == 1
    await desk.ask("alone", id="w2")
    assert desk.state.accounts.books.allowed[owner_of("t", "alone")][1] != number
    # Another life of the worker does not know the answer any more, and gives the same allowance.
    again_there = Desk(desk.state, desk.allowing._around.spool)
    assert await again_there.ask("alone", id="w1") == found[0]
    assert desk.state.accounts.books.allowed[owner_of("t", "alone")][1] == number


async def test_answers_are_remembered_in_a_bounded_number(desk: Desk, monkeypatch: pytest.MonkeyPatch):  # fmt: skip
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    for each in ("w1", "w2", "w3", "w1"):
        await desk.ask("alone", id=each)
    assert len(desk.told.events) == 4


async def test_an_allowance_is_an_event_and_stands_in_the_spool_before_it_is_answered(desk: Desk, tmp_path: Path):  # fmt: skip
    await desk.ask("root", session=True)
    _, (event,) = await asyncio.to_thread(read_spool, tmp_path)
    assert (event.type, event.policy, event.action, event.run_id, event.agent) == ("cap", "allow", "allow", "root", "writer")  # fmt: skip
    assert (event.source, event.tenant, event.ts_us) == ("run+session", "t", NOW_US)
    assert event.detail == "what run root and session s1 had used was forgotten; the same limits hold"  # fmt: skip
    accounts = Accounts(10)
    for said in memos(tmp_path):
        tally.replay(accounts, said)
    assert accounts.books.allowed == desk.state.accounts.books.allowed


def memos(place: Path) -> list[bytes]:
    segments = sorted((place / "spool" / "w0").glob("*/*.seg"))
    found = [decode(each) for segment in segments for each in frames(segment.read_bytes())]  # fmt: skip
    return [each.said for each in found if isinstance(each, Memo)]


class Away:
    """A keeper that cannot be asked, or that breaks."""

    is_shared = True
    trouble = "redis at here is not connected"

    def __init__(self, found: Sequence[Run] | None = None, *, breaks: bool = False, is_taken: bool = False) -> None:  # fmt: skip
        self._found = found
        self._is_taken = is_taken
        self._breaks = breaks
        self.told: list[Change] = []

    async def find(self, _: Finding) -> Sequence[Run] | None:
        if self._breaks:
            raise RuntimeError("broken")
        return self._found

    def tell(self, changes: Sequence[Change], now_us: int) -> None:
        self.told += changes

    async def drained(self, _: float) -> bool:
        return self._is_taken


@pytest.mark.parametrize("found", [None, RUNS[:1]])
async def test_where_nobody_can_be_asked_that_is_said(spool: SpoolWriter, found: Any):
    desk = Desk(Away(found), spool)
    status, said = await desk.message("root")
    assert status == 503
    assert said == "nobody can be asked for what runs have used now (redis at here is not connected); see: tacho status, and try again"  # fmt: skip
    assert desk.told.events == []


async def test_a_fault_is_answered_and_counted(spool: SpoolWriter):
    desk = Desk(Away(breaks=True), spool)
    assert (await desk.ask("root"))[0] == 500
    assert desk.told.faults == ["judge"]


async def test_a_disk_that_takes_nothing_is_said(desk: Desk):
    desk.allowing._around.spool.close()
    status, said = await desk.ask("alone")
    assert (status, said["recorded"]) == (200, False)
    assert allowed(desk) == {owner_of("t", "alone")}


async def test_what_others_keep_is_not_written_down(spool: SpoolWriter, tmp_path: Path):
    desk = Desk(Away(RUNS[:1], is_taken=True), spool)
    assert (await desk.ask("root"))[0] == 200
    assert len(desk.state.told) == 1
    _, events = await asyncio.to_thread(read_spool, tmp_path)
    assert [each.policy for each in events] == ["allow"]
    assert memos(tmp_path) == []
