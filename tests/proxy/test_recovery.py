"""What a worker keeps over its own death: checkpoint and tail together are what the living one had."""

import asyncio
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.identify.changes import Push, Shelf
from proxy.identify.facts import Asked, Run
from proxy.model import Usage
from proxy.prompt_changes import detail_of
from proxy.record.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from proxy.record.codec import Close, Event, Memo, Record, encode
from proxy.recovery import Memory
from proxy.state.memo import replay, written
from proxy.state.totals import NOTHING, Place, Totals
from tests.helpers.counted import counted
from tests.helpers.governed import make_governor
from tests.helpers.lives import Life, checkpointed, histories, lived, make_memo
from tests.helpers.pipelines import make_spool
from tests.helpers.runs.tracking import Tracker, drive
from tests.helpers.spooled import Writer, make_close, make_end, make_open

LAST = "f" * 32
BODY = b'{"messages":[{"role":"user","content":"Hello."}]}'


def successor(root: Path) -> Life:
    life = Life()
    life.memory.absorb(root, "w0".__eq__, LAST)
    return life


@settings(max_examples=25, deadline=None)
@given(history=histories(), cut=st.integers(0, 20))
def test_checkpoint_and_tail_are_what_the_living_worker_had(
    history: list[Record], cut: int
):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "spool"
        life = asyncio.run(lived(root, history, min(cut, len(history))))
        heir = successor(root)
        assert heir.remembered() == life.remembered()
        assert not heir.memory.losses


def test_without_a_checkpoint_all_records_are_the_tail(tmp_path):
    writer = Writer(tmp_path, "0" * 32)
    writer.write(make_open("a1"), make_close("a1"), make_end("a1"))
    writer.die()
    assert successor(tmp_path).attempts() == {("completed",): 1}


def test_calls_that_died_with_their_worker_are_counted_as_their_rows_will_be(tmp_path):
    writer = Writer(tmp_path, "0" * 32)
    writer.write(make_open("a1"), make_open("a2"), make_close("a2"))
    writer.write(make_close("unknown"), make_end("unknown"))
    writer.die()
    heir = successor(tmp_path)
    assert heir.attempts() == {("proxy_crashed",): 1, ("completed",): 1}
    assert counted(heir.registry, "tacho_inflight") == {}


def test_a_run_goes_on_with_its_next_step(tmp_path):
    writer = Writer(tmp_path, "0" * 32)
    writer.write(make_open("a1"), make_memo("r1", 1), make_memo("r1", 2))
    writer.die()
    heir = successor(tmp_path)
    again = Run("acme", "r1", "r1", seen_us=9)
    assert drive(heir.runs.admit(again, [], is_step=True)).step_seq == 3


@pytest.mark.parametrize(
    ("close", "billed"),
    [
        (make_close("a1", response_id="resp_1"), ["resp_1"]),
        (make_close("a1", response_id="resp_1", usage=Usage()), []),
        (make_close("a1"), []),
    ],
    ids=["with tokens", "without tokens", "without an id"],
)
def test_a_response_that_was_billed_stays_so(tmp_path, close: Close, billed: list[str]):
    writer = Writer(tmp_path, "0" * 32)
    opened = make_open("a1", dialect="openai_responses")
    writer.write(opened, close, make_end("a1"))
    writer.die()
    assert successor(tmp_path).billed.ids() == billed


def test_ids_of_what_is_never_asked_for_again_are_not_remembered(tmp_path):
    writer = Writer(tmp_path, "0" * 32)
    opened = make_open("a1", dialect="openai_chat")
    writer.write(opened, make_close("a1", response_id="chatcmpl-1"), make_end("a1"))
    writer.die()
    assert successor(tmp_path).billed.ids() == []


def dead(root: Path, name: str, *attempts: str) -> Path:
    """Leave an incarnation with these completed attempts."""
    writer = Writer(root, name)
    for attempt in attempts:
        writer.write(make_open(attempt), make_close(attempt), make_end(attempt))
    writer.die()
    return writer.directory


def test_several_dead_incarnations_are_all_absorbed(tmp_path):
    for name in "123":
        dead(tmp_path, name * 32, f"a{name}")
    heir = successor(tmp_path)
    assert heir.attempts() == {("completed",): 3}
    assert heir.memory.absorbed == ("1" * 32, "2" * 32, "3" * 32)


async def _absorbing_life(root: Path) -> Path:
    """Live after another incarnation, and die with a checkpoint that has absorbed it."""
    life, spool = Life(), make_spool(root)
    life.memory.absorb(root, "w0".__eq__, spool.directory.name)
    for record in (make_open("b1"), make_close("b1"), make_end("b1")):
        life.live(record)
        spool.append(encode(record))
    await checkpointed(life, spool)
    spool.close()
    return spool.directory


def test_what_a_predecessor_had_absorbed_is_not_counted_again(tmp_path):
    dead(tmp_path, "0" * 32, "a1")
    second = asyncio.run(_absorbing_life(tmp_path))
    heir = successor(tmp_path)
    assert heir.attempts() == {("completed",): 2}
    assert heir.memory.absorbed == tuple(sorted(["0" * 32, second.name]))


def test_an_absorbed_incarnation_that_was_deleted_is_forgotten(tmp_path):
    first = dead(tmp_path, "0" * 32, "a1")
    second = asyncio.run(_absorbing_life(tmp_path))
    for path in first.iterdir():
        path.unlink()
    first.rmdir()
    heir = successor(tmp_path)
    assert heir.attempts() == {("completed",): 2}
    assert heir.memory.absorbed == (second.name,)


def test_absorbing_again_counts_nothing_twice(tmp_path):
    dead(tmp_path, "0" * 32, "a1")
    heir = successor(tmp_path)
    heir.memory.absorb(tmp_path, "w0".__eq__, LAST)
    assert heir.attempts() == {("completed",): 1}
    assert heir.memory.absorbed == ("0" * 32,)


def test_a_predecessor_that_still_drains_is_left_until_it_is_dead(tmp_path):
    writer = Writer(tmp_path, "0" * 32)
    writer.write(make_open("a1"), make_close("a1"), make_end("a1"))
    heir = successor(tmp_path)
    states = [(heir.memory.is_awaiting, heir.attempts())]
    writer.die()
    heir.memory.absorb(tmp_path, "w0".__eq__, LAST)
    states.append((heir.memory.is_awaiting, heir.attempts()))
    assert states == [(True, {}), (False, {("completed",): 1})]


def test_other_workers_are_left_to_their_own_successors(tmp_path):
    writer = Writer(tmp_path, "0" * 32, worker="w1")
    writer.write(make_open("a1"), make_close("a1"), make_end("a1"))
    writer.die()
    assert successor(tmp_path).attempts() == {}


def damaged(checkpoint: Checkpoint, what: str) -> Checkpoint:
    broken = msgspec.Raw(b"\xa1x")
    if what == "telemetry":
        return msgspec.structs.replace(checkpoint, telemetry=broken)
    if what == "state":
        return msgspec.structs.replace(checkpoint, state=broken)
    state = msgspec.msgpack.decode(checkpoint.state)
    state["under_way"] = [[b"\xc1", None], [encode(make_open("a9")), b"\xc1"]]
    raw = msgspec.Raw(msgspec.msgpack.encode(state))
    return msgspec.structs.replace(checkpoint, state=raw)


DAMAGES = {
    "telemetry": ({("completed",): 1}, {"checkpoint": 1}),
    "state": ({("completed",): 2}, {"checkpoint": 1}),
    "a call under way": ({("completed",): 2, ("proxy_crashed",): 1}, {"undecodable": 2}),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_checkpoint_costs_what_is_damaged_and_is_counted(tmp_path, what: str):
    history: list[Record] = []
    for name in ("a1", "a2"):
        history += [make_open(name), make_close(name), make_end(name)]
    asyncio.run(lived(tmp_path, history, checkpoint_at=3))
    (directory,) = (tmp_path / "w0").iterdir()
    checkpoint = read_checkpoint(directory)
    assert checkpoint is not None
    write_checkpoint(directory, damaged(checkpoint, what))
    heir = successor(tmp_path)
    assert (heir.attempts(), dict(heir.memory.losses)) == DAMAGES[what]


def test_an_unreadable_checkpoint_leaves_the_records(tmp_path):
    directory = dead(tmp_path, "0" * 32, "a1")
    (directory / "checkpoint").write_bytes(b"\xff")
    assert successor(tmp_path).attempts() == {("completed",): 1}


def test_records_that_cannot_be_read_are_counted(tmp_path):
    directory = dead(tmp_path, "0" * 32, "a1", "a2")
    (segment,) = directory.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[40] ^= 0xFF
    segment.write_bytes(data)
    heir = successor(tmp_path)
    assert heir.memory.losses.total() >= 1
    assert ("completed",) in heir.attempts()


@pytest.mark.blocking_allowed  # opens a spool
async def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path):
    life, spool = Life(), make_spool(tmp_path)
    await checkpointed(life, spool, "first")
    (spool.directory / ".checkpoint.tmp").mkdir()
    with pytest.raises(OSError, match="directory"):
        await checkpointed(life, spool, "second")
    spool.close()
    checkpoint = read_checkpoint(spool.directory)
    assert checkpoint is not None
    assert checkpoint.incarnation == "first"


def test_a_call_that_died_with_its_worker_may_be_tried_again(tmp_path):
    tracker = Tracker()
    begun = tracker.begin(BODY, 5, body_hash=9)
    run, noted = tracker.log[0]
    writer = Writer(tmp_path, "0" * 32)
    opened = make_open("a1", tenant="t", run_id=run.run_id, step_id=begun.call.asked.step_id)  # fmt: skip
    writer.write(opened, Memo(written(run, noted, begins=True)))
    writer.die()
    heir = successor(tmp_path)
    (orphan,) = heir.memory.orphans
    drive(heir.runs.forsake(orphan.tenant, orphan.run_id, orphan.step_id))
    again = Tracker(heir.runs).begin(BODY, 6, body_hash=9)
    assert again.decision.retry_layer == "app"
    assert again.decision.run_id == run.run_id


@pytest.mark.blocking_allowed  # opens a spool
async def test_a_call_of_no_run_that_died_with_its_worker_may_be_tried_again(tmp_path):
    life, spool = Life(), make_spool(tmp_path)
    stray = Asked("", "s1", 0, 0, 5)
    other = replace(stray, step_id="s2", state="rejected")
    pushed = [Push(7, Shelf.BRIEF, each) for each in (stray, other)]
    life.runs.note("acme", "", pushed, 5)
    for attempt in ("a1", "a2"):
        life.live(make_open(attempt, step_id=attempt.replace("a", "s")))
    await checkpointed(life, spool)
    spool.close()
    heir = successor(tmp_path)
    ((where, calls),) = heir.runs.strays.all()
    assert (where, len(heir.runs)) == (7, 0)
    assert {each.step_id: each.state for each in calls.asked} == {"s1": "failed", "s2": "rejected"}  # fmt: skip


def test_a_run_that_had_ended_is_not_there_again_and_one_that_lived_is(tmp_path):
    writer = Writer(tmp_path, "0" * 32)
    over = Event("e1", 5, "run_end", tenant="acme", run_id="r1")
    writer.write(make_memo("r1", 1), make_memo("r2", 1), over)
    writer.write(Memo(b"\xff"))
    writer.die()
    heir = successor(tmp_path)
    assert [run.run_id for run in heir.runs.runs()] == ["r2"]
    assert heir.book.events(9) == []
    assert heir.memory.losses == {"runs": 1}


@pytest.mark.blocking_allowed  # opens a spool
async def test_a_checkpoint_of_many_runs_holds_up_nobody(tmp_path):
    life = Life()
    for number in range(400):
        replay(life.runs, make_memo(f"r{number}", 1).said)
    spool = make_spool(tmp_path)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.ensure_future(count())
    await checkpointed(life, spool)
    counting.cancel()
    spool.close()
    assert turns >= 400 / 40


@pytest.mark.blocking_allowed  # opens a spool
async def test_prompts_of_another_life_are_known(tmp_path):
    life, spool = Life(), make_spool(tmp_path)
    life.prompts.changed("acme", "bot", 7)
    await checkpointed(life, spool)
    spool.append(encode(make_open("a1", agent="bot", agent_source="path", prompt_hash=8)))  # fmt: skip
    spool.append(encode(Event("e", 1, "prompt_change", "acme", "bot", detail=detail_of(8, 9))))  # fmt: skip
    spool.close()
    assert successor(tmp_path).prompts.snapshot() == (("acme", "bot", (7, 8, 9)),)


def test_what_others_keep_is_not_told_again_by_a_successor_but_for_what_died(tmp_path):
    writer = Writer(tmp_path, "0" * 32)
    for record in (make_open("a1", run_id="r1"), make_memo("r1", 1), make_close("a1"), make_end("a1"), make_open("a2", run_id="r2"),
                   Event("e1", 5, "outcome", tenant="acme", run_id="r1"), Event("e2", 6, "run_end", tenant="acme", run_id="r3")):  # fmt: skip
        writer.write(record)
    writer.die()
    heir, purse = Life(), Told()
    heir.book.purse = purse
    memory = Memory(
        heir.registry,
        heir.meters,
        heir.billed,
        None,
        heir.book,
        heir.prompts,
        make_governor(heir.runs),
    )
    memory.absorb(tmp_path, "w0".__eq__, LAST)
    assert purse.added == [(("acme", "r2"), 1)]
    assert [each.attempt_id for each in memory.orphans] == ["a2"]
    assert heir.attempts() == {("completed",): 1, ("proxy_crashed",): 1}
    assert list(heir.runs.runs()) == []


def test_the_first_worker_takes_over_from_those_that_are_no_more_and_nobody_again(tmp_path):  # fmt: skip
    names = tuple(f"{n:032x}" for n in (1, 2, 3))  # before any that is made by chance
    for worker, name, attempt in zip(("w0", "w1", "w1"), names, ("a1", "a2", "a3"), strict=True):  # fmt: skip
        writer = Writer(tmp_path, name, worker=worker)
        writer.write(make_open(attempt), make_close(attempt), make_end(attempt))
        writer.die()
    alone = asyncio.run(_life_of_all(tmp_path))
    assert alone.attempts() == {("completed",): 3}
    assert alone.memory.absorbed == names
    later = Life()
    later.memory.absorb(tmp_path, "w1".__eq__, LAST)
    assert later.attempts() == {}


async def _life_of_all(root: Path) -> Life:
    life, spool = Life(), make_spool(root)
    life.memory.absorb(root, lambda worker: True, spool.directory.name)
    await checkpointed(life, spool)
    spool.close()
    return life


class Told:
    """Takes what is added up elsewhere."""

    def __init__(self) -> None:
        self.added: list[tuple[Place, int]] = []

    def add(self, place: Place, spent: Totals, now_us: int) -> None:
        self.added.append((place, spent.attempts))

    def known(self, place: Place) -> Totals:
        return NOTHING
