"""A child process that keeps the supervisor's contract and does nothing else; a script, not a module.

`fake_child.py NAME --data-dir DIR [options]`: what it goes through is written, a line each, to DIR/NAME.log, so that tests can
read the order of things.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from proxy.child import Child, run
from proxy.control import ControlServer, Probes, socket_path
from proxy.errors import StartError
from proxy.telemetry import Family, Sample


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--fd", type=int)
    parser.add_argument(
        "--refuse", action="store_true", help="cannot start: exit status 3 and a line"
    )
    parser.add_argument("--crash", action="store_true", help="dies before it is ready")
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--unhealthy", action="store_true")
    parser.add_argument("--mute", action="store_true", help="has no control socket")
    parser.add_argument(
        "--stubborn", action="store_true", help="does not react to SIGTERM"
    )
    parser.add_argument(
        "--busy-seconds", type=float, default=0.0, help="how long the drain takes"
    )
    parser.add_argument(
        "--noisy", action="store_true", help="prints more than a pipe holds"
    )
    parser.add_argument("--address", default="", help="what /status says as address")
    parser.add_argument("--config")
    return parser.parse_args()


def note(options: argparse.Namespace, word: str) -> None:
    for place in (
        options.data_dir / f"{options.name}.log",
        options.data_dir / "all.log",
    ):
        with place.open("a") as file:
            file.write(f"{options.name} {word}\n")


async def answer(options: argparse.Namespace, listener: socket.socket) -> None:
    """Answer each connection with our process id and close it."""
    loop = asyncio.get_running_loop()
    with listener:
        while True:
            connection, _ = await loop.sock_accept(listener)
            await loop.sock_sendall(connection, f"{os.getpid()}\n".encode())
            connection.close()


def misbehave(options: argparse.Namespace) -> None:
    """Fail in the way that was asked for."""
    if options.refuse:
        raise StartError("the fake cannot start; give it no --refuse")
    if options.crash:
        os.kill(os.getpid(), signal.SIGABRT)
    if options.stubborn:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(
                number, note, options, "shrugged"
            )


async def serve(child: Child) -> None:
    options = arguments()
    note(options, f"started {os.getpid()}")
    misbehave(options)
    child.on_reload(lambda: note(options, "reloaded"))
    gauge = Family(
        "tacho_inflight", "gauge", "Calls.", ("route",), (Sample(("t",), 2.0),)
    )
    counter = Family(
        "tacho_attempts_total",
        "counter",
        "Attempts.",
        ("route",),
        (Sample(("t",), 5.0),),
    )
    probes = Probes(
        health=lambda: (not options.unhealthy, {}),
        ready=lambda: True,
        metrics=lambda: msgspec.msgpack.encode([gauge, counter]),
        status=lambda: {"address": options.address, "pid": os.getpid()},
    )
    control = ControlServer(socket_path(options.data_dir, options.name), probes)
    if not options.mute:
        await control.start()
    async with asyncio.TaskGroup() as tasks:
        serving = []
        if options.fd is not None:
            listener = socket.socket(fileno=options.fd)
            listener.setblocking(False)
            serving.append(tasks.create_task(answer(options, listener)))
        if not options.never_ready:
            child.announce_ready()
            note(options, "ready")
        if options.noisy:
            sys.stdout.write("noise\n" * 100_000)
            sys.stdout.flush()
            note(options, "printed")
        await child.stopping.wait()
        note(options, "stopping")
        for task in serving:
            task.cancel()
            await asyncio.wait([task])
        try:
            await asyncio.sleep(options.busy_seconds)
        except asyncio.CancelledError:
            note(options, "cut short")
            raise
    await control.close()
    note(options, "ended")


if __name__ == "__main__":
    sys.exit(run(arguments().name, serve))
