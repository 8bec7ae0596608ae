"""Keepers of accounts under one face: the memory's, and the scripts in a Redis."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import fakeredis
import redis

from proxy.judge.claims import Answer, Change, Claim, Owners, Turned
from proxy.state.accounts import Accounts
from proxy.state.redis_accounts import Writer, answer_of, turned_of
from proxy.state.redis_accounts_lua import APPLY, CLAIM

SEED = 7
PREFIX = b"tacho:test:"
PATIENCE_SECONDS = 10.0


class Keeper(Protocol):
    def claim(self, claims: Sequence[Claim], owners: Owners, now_us: int) -> Answer: ...

    def apply(self, changes: Sequence[Change], now_us: int) -> tuple[Turned, ...]: ...

    def used(self, key: int, owner: str, now_us: int) -> tuple[int, int]: ...


class RedisKeeper:
    """Runs the scripts as a replica would, and waits for each."""

    def __init__(self, client: Any, holder: bytes = b"") -> None:
        """Without a holder, what is reserved is nobody's."""
        self.client = client
        self.holder = holder
        self._number = 0
        self.writer = Writer(SEED, PREFIX)
        self._claim = client.register_script(CLAIM)
        self._apply = client.register_script(APPLY)

    def claim(self, claims: Sequence[Claim], owners: Owners, now_us: int) -> Answer:
        own = [self.holder, b"0"]
        reply = self._claim(args=self.writer.claim_args(claims, owners, now_us, own))
        return answer_of(reply, claims, owners)

    def apply(self, changes: Sequence[Change], now_us: int) -> tuple[Turned, ...]:
        self._number += 1
        own = [self.holder, b"0", b"%d" % self._number, b"0"]
        reply = self._apply(args=self.writer.apply_args(changes, now_us, own))
        return turned_of(reply, changes)

    def used(self, key: int, owner: str, now_us: int) -> tuple[int, int]:
        name = PREFIX + b"t:" + key.to_bytes(8, "big") + self.writer.owner(owner)
        expires, settled, reserved = self.client.hmget(name, "e", "v", "w")
        if expires is None or int(expires) <= now_us:
            return (0, 0)
        return (int(settled), int(reserved))


def keeper_of(kind: str) -> Keeper:
    """Give an empty keeper: `memory` or `redis`, the latter in this process."""
    if kind == "memory":
        return Accounts(100_000)
    return RedisKeeper(fakeredis.FakeRedis(server=fakeredis.FakeServer()))


@contextmanager
def real_keepers(program: str, folder: Path, count: int) -> Iterator[list[RedisKeeper]]:
    """Give keepers, each with a connection of its own, of one redis-server that keeps nothing on disk."""
    where = folder / "redis.sock"
    command = [program, "--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", str(where)]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    clients: list[redis.Redis] = []
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not where.exists():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.01)
        clients = [redis.Redis(unix_socket_path=str(where)) for _ in range(count)]
        yield [RedisKeeper(each) for each in clients]
    finally:
        for client in clients:
            client.close()
        process.kill()
        process.wait()
