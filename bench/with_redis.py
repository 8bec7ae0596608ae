"""What policies cost a worker with Redis, and how fast it answers while a breaker is open: `python -m bench.with_redis`.

What lives here: a worker alone on a redis-server of its own (`--redis PROGRAM`), and agents that ask it. What does not: what the pure decision
costs (`judging.py`), the whole product (`scenarios.py`). No part of `make bench`.

- **open**: 200 agents on connections of their own, each once a second at a moment of its own, against an upstream to which nothing connects: the breaker is
  open from the fifth call on. How long they wait is seen from outside, so that whatever else the machine does is in it; the fastest
  second of all is what it disturbed least. Processor time of the worker for a refused call.
- **admission**: one call after the other on loopback TCP, through the keeper alone, without claims and with twelve, in turns; medians of the
  rounds and the fastest one; processor time of a call with all that is told after it.
- **worker**: processor time of a worker per request (a run of its own each ten), closed loop: memory, Redis with all policies off, and
  Redis with the defaults, in turns; how many scripts Redis ran for a request.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from bench.judging import claims_of
from bench.machine import cpu_seconds, pin, starting_on
from bench.product import CHAT, LOAD_CORE, PRODUCT_CORE
from proxy.identify.facts import Run
from proxy.judge.claims import Answer, Claim, taken_back
from proxy.state.redis_asked import Patience, Script
from proxy.state.redis_place import place_of
from proxy.state.redis_state import RedisState, redis_state

AGENTS, OPEN_SECONDS = 200, 10
CALLS, ROUNDS, CONNECTIONS = 1000, 7, 16
_OFF = {
    name: {"mode": "off"}
    for name in ("backstop", "caps", "spend_rate", "repeat", "cycle", "same_error", "no_progress", "breaker", "rate_gate", "quota_gate")
}  # fmt: skip
_STATS = Script("return redis.call('INFO', 'commandstats')")
_ANSWER = json.dumps(
    {
        "id": "c", "object": "chat.completion", "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
).encode()  # fmt: skip


def request(run: str, number: int) -> bytes:
    """Give a call of a run."""
    body = json.dumps({"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": f"{number}: " + "word " * 200}]}).encode()  # fmt: skip
    head = f"POST /run/{run}{CHAT} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def answered(reader: asyncio.StreamReader) -> int:
    """Read one answer; give its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head[9:12])


@contextlib.contextmanager
def worker(place: Path, upstream: int, policies: object, state: str) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Run a worker on a core of its own; give its port and its process id."""
    place.mkdir()
    given = {
        "data_dir": str(place / "data"), "state": state, "secret": "of-this-benchmark", "policies": policies, "state_wait_ms": 1000,
        "routes": {"openai": {"url": f"http://127.0.0.1:{upstream}", "provider": "openai"}},
        "exporters": {"clickhouse": {"url": ""}},
    }  # fmt: skip
    (place / "settings.yaml").write_text(json.dumps(given))
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener, starting_on(PRODUCT_CORE):  # fmt: skip
        fd = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "proxy.worker", "--config", str(place / "settings.yaml"), "--name", "w0", "--fd", str(fd)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[fd],
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield listener.getsockname()[1], process.pid
        finally:
            process.communicate(timeout=60)  # the end of its stdin ends it


@contextlib.contextmanager
def redis_server(program: str, place: Path) -> Iterator[str]:
    """Run a Redis that keeps nothing on disk; give its URL."""
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(place)]  # fmt: skip
    with starting_on(LOAD_CORE):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Give a port to which nothing connects."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def keeper(url: str) -> AsyncIterator[RedisState]:
    """Connect to Redis as a worker does."""
    state = redis_state(7, place_of(url), 10_000, 10**12, lambda run, totals: None, Patience(wait_seconds=5.0))  # fmt: skip
    await state.open()
    try:
        yield state
    finally:
        await state.close()


# While a breaker is open.


async def refusals(port: int, pid: int, name: str) -> str:
    """Give what agents wait for while it is open."""
    for number in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("r", number))
        assert await answered(reader) == 502
        writer.close()
    found: dict[int, list[float]] = {}
    began, used = time.monotonic() + 1, cpu_seconds(pid)
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(AGENTS)]  # fmt: skip

    async def agent(number: int) -> None:
        reader, writer = connections[number]
        for second in range(OPEN_SECONDS):
            due = began + second + number / AGENTS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent = time.perf_counter()
            writer.write(request(f"r{number}", second))
            assert await answered(reader) == 503
            found.setdefault(second, []).append((time.perf_counter() - sent) * 1e3)

    await asyncio.gather(*(agent(number) for number in range(AGENTS)))
    cpu_us = (cpu_seconds(pid) - used) / (AGENTS * OPEN_SECONDS) * 1e6
    for _, writer in connections:
        writer.close()
    every = sorted(each for second in found.values() for each in second)
    best = min((sorted(each) for each in found.values()), key=lambda each: each[-1])
    within = sum(each <= 5 for each in every) / len(every)
    return (
        f"open, {name}: of {len(every)} refused {within:.2%} within 5 ms; median {every[len(every) // 2]:.2f} ms, p99 {every[len(every) * 99 // 100]:.2f}, "
        f"longest {every[-1]:.2f}; in the best second median {statistics.median(best):.2f}, longest {best[-1]:.2f}; worker {cpu_us:.0f} us cpu each"
    )


# At admission.


async def admissions(state: RedisState, claims: Sequence[Claim], mark: str) -> tuple[float, float]:  # fmt: skip
    """Give the median wait and the processor time of a call, microseconds."""
    waits, busy = [], 0.0

    class Plea:
        now_us = time.time_ns() // 1000
        answer: Answer | None = None

        def __init__(self) -> None:
            self.claims = claims

        def hear(self, answer: Answer) -> bool:
            self.answer = answer
            return answer.admitted

    for number in range(CALLS):
        began, used = time.perf_counter(), time.process_time()
        plea = Plea()
        name = f"{mark}-{number // 10}"
        await state.admit(Run("t", name, name, seen_us=plea.now_us), [], is_step=True, plea=plea)  # fmt: skip
        waits.append(time.perf_counter() - began)
        assert plea.answer is not None
        assert plea.answer.admitted
        state.tell(taken_back(claims, plea.answer), plea.now_us)
        state.claims.flush()
        busy += time.process_time() - used
        await state.drained(5)
    return statistics.median(waits) * 1e6, busy / CALLS * 1e6


async def at_admission(url: str) -> str:
    """Compare admissions without claims and with twelve."""
    async with keeper(url) as state:
        bare, full = [], []
        for number in range(ROUNDS):
            bare.append(await admissions(state, [], f"bare{number}"))
            full.append(await admissions(state, claims_of(number), f"full{number}"))
    told = [f"{name}: median {statistics.median(w for w, _ in found):.0f} us, best round {min(found)[0]:.0f}, cpu {min(c for _, c in found):.0f}" for name, found in (("without claims", bare), ("with 12", full))]  # fmt: skip
    more = statistics.median(f[0] - b[0] for f, b in zip(full, bare, strict=True))
    return f"admission, {'; '.join(told)}; claims add {more:.0f} us (median of pairs)"


# The worker.


async def load(port: int, pid: int, mark: str) -> float:
    """Give a worker's processor time for a request, microseconds."""
    used = cpu_seconds(pid)
    numbers = iter(range(CALLS))

    async def agent() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            writer.write(request(f"{mark}-{number // 10}", number))
            assert await answered(reader) == 200
        writer.close()

    await asyncio.gather(*(agent() for _ in range(CONNECTIONS)))
    return (cpu_seconds(pid) - used) / CALLS * 1e6


async def scripts_run(state: RedisState) -> int:
    """Say how many scripts Redis has run."""
    said = (await state.line.ask(_STATS, [])).decode()
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in said.splitlines() if line.startswith("cmdstat_eval"))  # fmt: skip


async def of_worker(place: Path, url: str) -> str:
    """Compare a worker's processor time with memory and with Redis."""
    serving: set[asyncio.Task[None] | None] = set()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # fmt: skip
        serving.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))  # fmt: skip
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_ANSWER), _ANSWER))  # fmt: skip
        writer.close()

    server = await asyncio.start_server(upstream, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()[1]
    kinds = {"memory, policies off": (_OFF, "memory"), "memory": ({}, "memory"), "redis, policies off": (_OFF, url), "redis": ({}, url)}  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in kinds}
    scripts: dict[str, list[float]] = {name: [] for name in kinds}
    with contextlib.ExitStack() as stack:
        made = {name: stack.enter_context(worker(place / f"w{at}", target, *kind)) for at, (name, kind) in enumerate(kinds.items())}  # fmt: skip
        async with keeper(url) as state:
            for number in range(-1, ROUNDS):
                for at, (name, (port, pid)) in enumerate(made.items()):
                    before = await scripts_run(state)
                    cpu_us = await load(port, pid, f"{at}-{number}")
                    if number >= 0:  # the first one warms up
                        found[name].append(cpu_us)
                        scripts[name].append((await scripts_run(state) - before) / CALLS)  # fmt: skip
    server.close()
    await asyncio.gather(*filter(None, serving))
    return "\n".join(
        f"worker, {name}: {statistics.median(found[name]):.0f} us cpu a request (best {min(found[name]):.0f}), {statistics.median(scripts[name]):.1f} scripts"
        for name in kinds
    )  # fmt: skip


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--redis", default="redis-server", metavar="PROGRAM")
    options = parser.parse_args()
    pin(os.getpid(), LOAD_CORE)
    breaker = {"breaker": {"mode": "enforce", "open_seconds": 600, "max_open_seconds": 600}}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, redis_server(options.redis, Path(folder)) as url:  # fmt: skip
        place = Path(folder)
        for name, state in (("memory", "memory"), ("redis", url)):
            with worker(place / f"open-{name}", free_port(), breaker, state) as (port, pid):  # fmt: skip
                sys.stdout.write(asyncio.run(refusals(port, pid, name)) + "\n")
        sys.stdout.write(asyncio.run(at_admission(url)) + "\n")
        sys.stdout.write(asyncio.run(of_worker(place, url)) + "\n")


if __name__ == "__main__":
    main()
