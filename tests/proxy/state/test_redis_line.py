"""The connection against one that is played: what is sent, and each way in which it can fail."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.exceptions import (
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from proxy.state.circuit import Circuit, Pauses
from proxy.state.redis_asked import Patience, Script, Unavailable
from proxy.state.redis_line import Line

ECHO = Script("return ARGV[1]")
PROBE = Script("return ARGV[1] ", is_probe=True)
NEVER = Patience(wait_seconds=5.0)


class Played:
    """Answers scripts with their first argument; `replies` come first, `is_deaf` answers nothing."""

    def __init__(self) -> None:
        self.refuses = 0
        self.connects = 0
        self.is_deaf = False
        self.is_stuck = False
        self.replies: list[object] = []
        self.sent: list[list[tuple[Any, ...]]] = []
        self.inbox: asyncio.Queue[object] = asyncio.Queue()

    async def connect(self) -> None:
        self.connects += 1
        if self.refuses:
            self.refuses -= 1
            raise ConnectionRefusedError
        self.inbox = asyncio.Queue()

    async def disconnect(self, nowait: bool = False) -> None:
        self.inbox = asyncio.Queue()

    def pack_commands(self, commands: Any) -> Any:
        return list(commands)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # fmt: skip
        if command[0][0] == "TIME":
            self.inbox.put_nowait([b"1790000000", b"5"])
            return
        self.sent.append(command)
        if self.is_stuck:
            await asyncio.Event().wait()
        for each in command:
            if each[0] == "SCRIPT":
                self.inbox.put_nowait(b"sha")
            elif not self.is_deaf:
                self.inbox.put_nowait(self.replies.pop(0) if self.replies else each[3])

    async def read_response(self, disable_decoding: bool = False) -> Any:
        reply = await self.inbox.get()
        if isinstance(reply, Exception):
            raise reply
        return reply


@asynccontextmanager
async def line(played: Played, patience: Patience = NEVER, dice: float = 0.5) -> AsyncIterator[Line]:  # fmt: skip
    loop = asyncio.get_running_loop()
    circuit = Circuit(Pauses(0.02, 0.02), loop.time, lambda: dice)
    made = Line(played, circuit, [ECHO], "somewhere", patience)
    running = loop.create_task(made.run())
    assert await made.connected(5)
    yield made
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_what_is_asked_in_one_turn_goes_out_at_once_and_comes_back_in_order():
    played = Played()
    async with line(played) as made:
        made.tell(ECHO, [b"note"])
        asked = [made.ask(ECHO, [b"%d" % n]) for n in range(3)]
        assert await asyncio.gather(*asked) == [b"0", b"1", b"2"]
        assert [len(batch) for batch in played.sent] == [1, 1, 3]
        assert played.sent[1][0] == ("EVALSHA", ECHO.sha, 0, b"note")
        assert repr(made) == "Line('somewhere')"


async def test_a_script_that_was_flushed_is_sent_as_text():
    played = Played()
    async with line(played) as made:
        played.replies = [NoScriptError("no")]
        assert await made.ask(ECHO, [b"x"]) == b"x"
        assert played.sent[-1][0] == ("EVAL", ECHO.text, 0, b"x")


async def test_whoever_is_cancelled_leaves_the_others_their_answers():
    played = Played()
    async with line(played) as made:
        first = asyncio.get_running_loop().create_task(made.ask(ECHO, [b"first"]))
        await asyncio.sleep(0)
        played.is_deaf = True
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.wait([first])
        second = asyncio.get_running_loop().create_task(made.ask(ECHO, [b"second"]))
        await asyncio.sleep(0.01)
        played.inbox.put_nowait(b"first")
        played.inbox.put_nowait(b"second")
        assert await second == b"second"


async def test_what_nobody_waits_for_any_more_is_not_sent():
    played = Played()
    async with line(played) as made:
        asked = asyncio.get_running_loop().create_task(made.ask(ECHO, [b"moot"]))
        await asyncio.sleep(0)
        asked.cancel()
        assert await made.ask(ECHO, [b"x"]) == b"x"
        assert [each[3] for batch in played.sent[1:] for each in batch] == [b"x"]


async def test_who_waits_in_vain_is_let_go_and_the_next_are_not_asked_for_a_while():
    played = Played()
    async with line(played, Patience(wait_seconds=0.01)) as made:
        played.is_deaf = True
        with pytest.raises(Unavailable):
            await made.ask(ECHO, [b"x"])
        with pytest.raises(Unavailable):
            await made.ask(ECHO, [b"y"])
        assert (made.counts.late, made.counts.refused) == (1, 1)
        assert made.trouble == "redis at somewhere is slow"
        played.is_deaf = False
        played.inbox.put_nowait(b"x")
        await asyncio.sleep(0.03)
        assert await made.ask(ECHO, [b"z"]) == b"z"
        assert await made.ask(ECHO, [b"z"]) == b"z"
        assert made.counts.connects == 1


@pytest.mark.blocking_allowed  # a process that stands still is what this is about
async def test_a_process_that_stood_still_does_not_blame_redis():
    played = Played()
    async with line(played, Patience(wait_seconds=0.05)) as made:
        asked = asyncio.get_running_loop().create_task(made.ask(ECHO, [b"x"]))
        await asyncio.sleep(0)
        played.is_deaf = True
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        played.inbox.put_nowait(b"x")
        time.sleep(0.1)  # noqa: ASYNC251 - as above
        assert await asked == b"x"
        await asyncio.sleep(0.03)
        assert made.counts.late == 0


async def test_a_connection_on_which_nothing_comes_is_given_up():
    played = Played()
    async with line(played, Patience(wait_seconds=0.01, stalled_seconds=0.005)) as made:
        played.is_deaf = True
        made.tell(ECHO, [b"note"])
        with pytest.raises(Unavailable):
            await made.ask(ECHO, [b"x"])
        await asyncio.sleep(0)
        played.is_deaf = False
        while made.is_connected:  # noqa: ASYNC110 - the end of a connection is no event
            await asyncio.sleep(0)
        assert await made.connected(5)
        assert await made.ask(ECHO, [b"y"]) == b"y"
        assert made.counts.dropped == 1


@pytest.mark.parametrize("error", [ReadOnlyError("a replica"), BusyLoadingError("loading"), ConnectionResetError(), IndexError()])  # fmt: skip
async def test_a_broken_connection_is_made_anew(error, caplog):
    caplog.set_level(logging.INFO)
    played = Played()
    async with line(played) as made:
        played.replies = [error]
        with pytest.raises(Unavailable):
            await made.ask(ECHO, [b"x"])
        while not made.is_connected:
            made.tell(ECHO, [b"kept"])
            await asyncio.sleep(0.01)
        assert await made.ask(ECHO, [b"y"]) == b"y"
        assert (made.counts.failed, made.counts.dropped, made.counts.connects) == (1, 0, 2)  # fmt: skip
        told = [each.message for each in caplog.records]
        assert told == ["redis_connected", "redis_unreachable", "redis_connected"]


async def test_an_error_that_belongs_to_one_question_costs_that_one():
    played = Played()
    async with line(played) as made:
        played.replies = [ResponseError("WRONGTYPE x"), ResponseError("WRONGTYPE x")]
        made.tell(ECHO, [b"note"])
        with pytest.raises(Unavailable):
            await made.ask(ECHO, [b"x"])
        assert made.trouble == "redis at somewhere answers with errors: WRONGTYPE"
        assert await made.ask(ECHO, [b"y"]) == b"y"
        counts = made.counts
        assert (counts.dropped, counts.failed, counts.refused, counts.connects) == (1, 1, 0, 1)  # fmt: skip
        assert made.trouble == ""


async def test_a_redis_that_takes_nothing_in_is_asked_nothing_until_it_does_and_then_told_all_in_order():
    played = Played()
    taken: list[bytes] = []
    async with line(played) as made:
        full = OutOfMemoryError("command not allowed")
        played.replies = [full, full, full]
        for each in (b"1", b"2"):
            made.tell(ECHO, [each], taken.append)
        with pytest.raises(Unavailable):
            await made.ask(ECHO, [b"x"])
        assert made.trouble == "redis at somewhere takes nothing in: its memory is full (OOM)"  # fmt: skip
        made.tell(ECHO, [b"3"], taken.append)
        with pytest.raises(Unavailable):
            await made.ask(ECHO, [b"y"])
        played.replies = [full]
        with pytest.raises(Unavailable):
            await made.ask(PROBE, [b"z"])
        assert played.sent[-1][0][3] == b"z"
        assert (made.counts.failed, made.counts.refused, made.counts.dropped) == (2, 1, 0)  # fmt: skip
        assert await made.ask(PROBE, [b"z"]) == b"z"
        assert await made.ask(ECHO, [b"x"]) == b"x"
        assert (made.trouble, taken) == ("", [b"1", b"2", b"3"])


async def test_who_waits_to_ask_a_redis_that_takes_nothing_in_is_let_go():
    played = Played()
    async with line(played) as made:
        played.is_stuck = True
        first = asyncio.get_running_loop().create_task(made.ask(ECHO, [b"first"]))
        await asyncio.sleep(0.01)
        second = asyncio.get_running_loop().create_task(made.ask(ECHO, [b"second"]))
        await asyncio.sleep(0.01)
        made.tell(ECHO, [b"note"])
        played.inbox.put_nowait(OutOfMemoryError("command not allowed"))
        done, _ = await asyncio.wait([first, second], timeout=5)
        assert {type(each.exception()) for each in done} == {Unavailable}
        assert len(done) == 2


async def test_what_was_not_taken_in_goes_out_on_the_next_connection():
    played = Played()
    taken: list[bytes] = []
    async with line(played) as made:
        played.replies = [OutOfMemoryError("command not allowed"), ConnectionResetError()]  # fmt: skip
        made.tell(ECHO, [b"1"], taken.append)
        with pytest.raises(Unavailable):
            await made.ask(PROBE, [b"x"])
        made.tell(ECHO, [b"2"], taken.append)
        assert await made.connected(5)
        assert await made.ask(ECHO, [b"x"]) == b"x"
        assert taken == [b"1", b"2"]


async def test_nothing_waits_without_bound():
    played = Played()
    async with line(played, Patience(pending=3)) as made:
        for _ in range(5):
            made.tell(ECHO, [b"note"])
        with pytest.raises(Unavailable):
            await made.ask(ECHO, [b"x"])
        assert (made.counts.dropped, made.counts.refused) == (2, 1)


async def test_who_is_down_from_the_start_is_tried_again_and_told_of_once(caplog):
    played = Played()
    played.refuses = 3
    circuit = Circuit(Pauses(0.001, 0.001), asyncio.get_running_loop().time, lambda: 0.5)  # fmt: skip
    made = Line(played, circuit, [ECHO], "somewhere")
    with pytest.raises(Unavailable):
        await made.ask(ECHO, [b"x"])
    assert not await made.connected(0.001)
    running = asyncio.get_running_loop().create_task(made.run())
    assert await made.connected(5)
    assert played.connects == 4
    (warned,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    detail = vars(warned)["detail"]
    assert (detail["at"], detail["error"]) == ("somewhere", "ConnectionRefusedError")
    assert "in no run" in detail["meaning"]
    running.cancel()
    await asyncio.wait([running])


async def test_questions_under_way_fail_with_the_connection_and_notes_wait_for_the_next():
    played = Played()
    async with line(played) as made:
        played.is_deaf = True
        asked = [asyncio.get_running_loop().create_task(made.ask(ECHO, [b"%d" % n])) for n in range(3)]  # fmt: skip
        await asyncio.sleep(0.01)
        asked[0].cancel()
        played.is_stuck = True
        made.tell(ECHO, [b"lost"])
        await asyncio.sleep(0.01)
        made.tell(ECHO, [b"kept"])
        played.inbox.put_nowait(ConnectionResetError())
        late = asyncio.get_running_loop().create_task(made.ask(ECHO, [b"queued"]))
        ended = await asyncio.gather(*asked, late, return_exceptions=True)
        assert [type(each) for each in ended] == [
            asyncio.CancelledError,
            *[Unavailable] * 3,
        ]
        played.is_stuck = played.is_deaf = False
        assert await made.connected(5)
        assert await made.ask(ECHO, [b"y"]) == b"y"
        assert [each[3] for each in played.sent[-1]][:1] in ([b"kept"], [b"y"])
        assert made.counts.dropped == 1  # fmt: skip


async def test_that_redis_is_slow_is_said_in_one_line_and_not_again_for_a_while(caplog):
    played = Played()
    async with line(played, Patience(wait_seconds=0.01)) as made:
        played.is_deaf = True
        waits = [made.ask(ECHO, [b"x"]) for _ in range(3)]
        found = await asyncio.gather(*waits, return_exceptions=True)
        assert [type(each) for each in found] == [Unavailable] * 3
        assert made.counts.late == 3
    told = [
        vars(each)["detail"] for each in caplog.records if each.message == "redis_slow"
    ]
    assert told == [{"at": "somewhere", "late": 1, "waited_seconds": 0.01}]


async def test_who_begins_waits_for_the_first_try_however_it_ends():
    for refuses in (0, 1):
        played = Played()
        played.refuses = refuses
        loop = asyncio.get_running_loop()
        circuit = Circuit(Pauses(60.0, 60.0), loop.time, lambda: 0.5)
        made = Line(played, circuit, [ECHO])
        running = loop.create_task(made.run())
        await made.tried()
        assert made.is_connected is not bool(refuses)
        assert not await made.connected(0) or not refuses
        running.cancel()
        await asyncio.wait([running])
