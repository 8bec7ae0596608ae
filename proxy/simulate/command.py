"""`python -m proxy.simulate`: runs a simulated provider until it is interrupted.

What lives here: flags and their checks, start and end. What does not: the provider (`server.py`).
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from proxy.simulate.engine import Settings
from proxy.simulate.faults import Rates
from proxy.simulate.pace import Pace
from proxy.simulate.pointing import pointing
from proxy.simulate.server import Provider

_EXAMPLE = """example:
  python -m proxy.simulate --port 8080 --speed 10 --fault-rate 5xx=0.02,429=0.01

The address and the variables that point SDKs at it are printed first.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status."""
    found = _parser().parse_args(arguments)
    try:
        settings = Settings(
            seed=found.seed,
            pace=Pace(
                found.speed,
                found.first_token_seconds,
                tokens_per_second=found.tokens_per_second,
                jitter=found.jitter,
            ),
            rates=Rates.parse(found.fault_rate),
            requests_per_minute=found.requests_per_minute,
            tokens_per_minute=found.tokens_per_minute,
        )
    except ValueError as error:
        sys.stderr.write(f"proxy.simulate: {error}\n")
        return 2
    return asyncio.run(_serve(Provider(settings, found.host, found.port)))


async def _serve(provider: Provider) -> int:
    try:
        await provider.start()
    except OSError as error:
        sys.stderr.write(
            f"proxy.simulate: cannot listen: {error}; --port 0 takes any free port\n"
        )
        await provider.stop()
        return 1
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    sys.stdout.write(pointing(provider.url))
    sys.stdout.flush()
    await stop.wait()
    await provider.stop()
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m proxy.simulate",
        description="A simulated provider that speaks the wire formats of OpenAI, Anthropic and Gemini.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: loopback)"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port to listen on (default: any free one)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of all dice: the same requests are answered alike",
    )
    _add_pace(parser)
    _add_faults(parser)
    return parser


def _add_pace(parser: argparse.ArgumentParser) -> None:
    pace = Pace()
    parser.add_argument(
        "--speed",
        type=float,
        default=pace.speed,
        help="how much faster than real; 0: no waiting",
    )
    parser.add_argument(
        "--first-token-seconds",
        type=float,
        default=pace.first_token_seconds,
        metavar="S",
    )
    parser.add_argument(
        "--tokens-per-second", type=float, default=pace.tokens_per_second, metavar="N"
    )
    parser.add_argument(
        "--jitter",
        type=float,
        default=pace.jitter,
        metavar="SHARE",
        help="deviation of durations",
    )


def _add_faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fault-rate",
        default="",
        metavar="KIND=SHARE,...",
        help="faults by chance: 5xx, a status such as 429, cut, error, hang, slow",
    )
    parser.add_argument(
        "--requests-per-minute",
        type=_positive,
        default=10_000,
        metavar="N",
        help="as headers say",
    )
    parser.add_argument(
        "--tokens-per-minute",
        type=_positive,
        default=2_000_000,
        metavar="N",
        help="as headers say",
    )
