"""Redis for tests: a real server where there is one, and one in this process that runs the same scripts."""

import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakeredis import TcpFakeServer

from proxy.identify.facts import Run
from proxy.judge.claims import Answer, Claim
from proxy.state import State
from proxy.state.circuit import Pauses
from proxy.state.redis_asked import Patience, Script
from proxy.state.redis_place import place_of
from proxy.state.redis_state import RedisState, redis_state
from proxy.state.totals import NOTHING, Totals
from tests.helpers.runs.tracking import DAY_US, SEED

PATIENCE_SECONDS = 10.0
SOON = Pauses(0.02, 0.05)
LONG = Patience(wait_seconds=5.0)
"""For tests that are not about time: the machine may be busy."""

RUN_OUT = Script("""
local found = redis.call('KEYS', ARGV[1] .. 'l:*')
for _, each in ipairs(found) do redis.call('DEL', each) end
return #found
""")
USED = Script("return redis.call('HMGET', ARGV[1], 'v', 'w')")
EXPIRING = Script("""
local found = {}
for _, each in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do found[#found + 1] = {each, redis.call('TTL', each)} end
return found
""")


class RedisServer:
    """A redis-server of one test, which may be killed and started again; it keeps nothing on disk."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self._folder = folder
        self._command = [program, "--port", "0", "--save", "", "--appendonly", "no", "--dir", str(folder),
                         "--unixsocket", str(folder / "redis.sock"), *options]  # fmt: skip
        self.url = f"unix://{folder}/redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self._folder / "redis.log").open("ab")
        with log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"ready to accept" not in (self._folder / "redis.log").read_bytes():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it by its id; the socket's file stays, as after a crash."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            (self._folder / "redis.log").unlink()


@contextmanager
def real_redis(program: str, folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(program, folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def fake_redis() -> Iterator[str]:
    """Give the URL of a server in this process."""
    server = TcpFakeServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})  # fmt: skip
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def joined(url: str, max_runs: int = 100_000, idle_us: int = DAY_US, patience: Patience = LONG,
                 ended: Callable[[Run, Totals], None] = lambda run, totals: None) -> AsyncIterator[RedisState]:  # fmt: skip
    """Give one replica's keeper, connected."""
    state = redis_state(SEED, place_of(url), max_runs, idle_us, ended, patience, SOON)
    state.line._scripts = (*state.line._scripts, RUN_OUT, USED, EXPIRING)
    await state.open()
    try:
        assert await state.line.connected(PATIENCE_SECONDS)
        yield state
    finally:
        await state.close()


class Ends:
    """Takes the ends of runs, and gives each once."""

    def __init__(self) -> None:
        self._found: list[tuple[Run, Totals]] = []

    def __call__(self, run: Run, totals: Totals = NOTHING) -> None:
        self._found.append((run, totals))

    async def of(self, state: State, now_us: int) -> list[tuple[Run, Totals]]:
        """Let runs end; give those that have ended since the last time."""
        await state.expired(now_us)
        found, self._found = self._found, []
        return found


@dataclass
class Pleading:
    """What a call claims; says no in the end where it is told to."""

    claims: Sequence[Claim]
    now_us: int = 1
    says_no: bool = False
    answer: Answer | None = None

    def hear(self, answer: Answer) -> bool:
        assert self.answer is None
        self.answer = answer
        return answer.admitted and not self.says_no


async def leases_run_out(state: RedisState) -> int:
    """Let the time pass in which a worker says that it lives; say of how many."""
    return int(await state.line.ask(RUN_OUT, [state.claims.prefix]))


async def used(state: RedisState, key: int, owner: str = "") -> tuple[int, int]:
    """Give what is settled on an account, and what is reserved."""
    claims = state.claims
    name = claims.prefix + b"t:" + key.to_bytes(8, "big") + claims.writer.owner(owner)
    settled, reserved = await state.line.ask(USED, [name])
    return int(settled or 0), int(reserved or 0)


async def names(state: RedisState) -> dict[bytes, int]:
    """Give the names of all keys without their prefix, and in how many seconds each expires."""
    prefix = state.claims.prefix
    found = await state.line.ask(EXPIRING, [prefix])
    return {name.removeprefix(prefix): seconds for name, seconds in found}
