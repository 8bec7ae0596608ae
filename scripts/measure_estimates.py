"""`make estimates`: how far estimates of output tokens are from what providers counted, by family.

Usage: python scripts/measure_estimates.py [--wrong N]. Reads the recorded traffic beside the checkout, else `tests/data`.

Three sorts: whole answers whose usage is hidden (`stream`, `document`), and streams cut at random places (`cut`). Of a cut stream
the truth is known where the provider counts in every event (Gemini, some of DeepSeek's), or where a whole stream has as many
events as tokens (within 3 %, and 3 tokens): then an event is a token in its beginning, too; such cuts say how the guess chooses, not how
good it is at text. `taught` lets the answers of other recordings teach first, as production traffic does; `plain` does not.
"""

import argparse
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

if TYPE_CHECKING:
    from tests.helpers.recordings import ALL_TRAFFIC, SUBSET, Recording, recordings
else:
    from helpers.recordings import ALL_TRAFFIC, SUBSET, Recording, recordings

from msgspec.structs import replace  # noqa: E402

from proxy.meter.dialect import Head  # noqa: E402
from proxy.meter.dialects import recognise  # noqa: E402
from proxy.meter.estimate import Taught, output_tokens, settle  # noqa: E402
from proxy.meter.learned import MIN_TOKENS as LESSON  # noqa: E402
from proxy.meter.learned import Ratios  # noqa: E402
from proxy.meter.tee import Tee  # noqa: E402
from proxy.model import Ask, Kind, Reading  # noqa: E402

CUTS = 5
MIN_TOKENS = 10
"""Of shorter answers a token more or less is ten per cent."""
FEW = 10


class Sample(NamedTuple):
    """One estimate and its truth."""

    family: str
    sort: str
    name: str
    plain: float
    taught: float
    truth: int


class Answer(NamedTuple):
    """A recording that was read."""

    recording: Recording
    ask: Ask
    reading: Reading
    truth: int


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wrong", type=int, default=0, help="show the N worst, too")
    options = parser.parse_args()
    folder = ALL_TRAFFIC if ALL_TRAFFIC.is_dir() else SUBSET
    answers = list(read_all(folder))
    samples = [sample for answer in answers for sample in samples_of(answer, answers)]
    print_table(samples, folder)
    for sample in sorted(samples, key=error_of, reverse=True)[: options.wrong]:
        sys.stdout.write(f"{error_of(sample):7.1%} {sample}\n")
    return 0


def read_all(folder: Path) -> Iterator[Answer]:
    """Read the answers in which the provider counted output that can be seen."""
    names = sorted(path.name.removesuffix(".jsonl.gz") for path in folder.glob("*.gz"))
    for recording in recordings(folder, *names):
        if not recording.usage or recording.status != 200:
            continue
        ask, reading = read(recording, recording.body)
        truth = truth_of(reading)
        if truth >= MIN_TOKENS and ask.kind is Kind.LLM:
            yield Answer(recording, ask, reading, truth)


def read(recording: Recording, body: bytes) -> tuple[Ask, Reading]:
    """Read a body, or the beginning of one."""
    kind = Kind.LLM
    dialect, operation = recognise(kind, "", recording.method, recording.path)
    ask = dialect.read_request(operation, recording.request_body)
    head = Head(recording.status, recording.content_type, recording.response_headers)
    tee = Tee(dialect.reader(ask, head), "", 64 << 20)
    tee.feed(body)
    return ask, tee.reading()


def truth_of(reading: Reading) -> int:
    """Give the output tokens that can be estimated at all: thinking only where it is shown."""
    usage = reading.usage
    if usage is None or usage.output is None:
        return 0
    return usage.output + ((usage.reasoning or 0) if reading.reasoning_chars else 0)


def samples_of(answer: Answer, others: list[Answer]) -> Iterator[Sample]:
    """Estimate an answer, and beginnings of it."""
    recording, ask, reading, truth = answer
    ratio = teach(answer, others)
    family = f"{recording.provider} {ask.dialect}"
    sort = "stream" if reading.expects_terminal or recording.streamed else "document"
    hidden = replace(reading, usage=None)
    yield Sample(
        family,
        sort,
        recording.id,
        estimated(ask, hidden, 1.0),
        estimated(ask, hidden, ratio),
        truth,
    )
    if not recording.streamed:
        return
    dice = random.Random(recording.id)
    for _ in range(CUTS):
        body = recording.body[: dice.randrange(len(recording.body))]
        _, short = read(recording, body)
        known = truth_of(short)
        deltas = reading.output_deltas + reading.reasoning_deltas
        if not reading.tool_calls and abs(deltas - truth) <= min(3, 0.03 * truth + 1):
            known = short.output_deltas + short.reasoning_deltas
        if known >= MIN_TOKENS and not short.terminal:
            bare = replace(short, usage=None, finish_reason="")
            yield Sample(
                family,
                "cut",
                recording.id,
                estimated(ask, bare, 1.0),
                estimated(ask, bare, ratio),
                known,
            )


def teach(answer: Answer, others: list[Answer]) -> float:
    """Give the ratio that answers of the same model in other files teach."""
    ratios, source = Ratios(1), answer.recording.source.partition(":")[0]
    model = answer.reading.model or answer.ask.model
    for recording, ask, reading, truth in others:
        if (
            ask.dialect == answer.ask.dialect
            and (reading.model or ask.model) == model
            and recording.source.partition(":")[0] != source
            and truth >= LESSON
            and not reading.tool_calls
            and ratios.wants(model)
        ):
            ratios.learn(model, truth, estimated(ask, reading, 1.0))
    return ratios.get(model)


def estimated(ask: Ask, reading: Reading, ratio: float) -> int:
    """Give what would be booked as output."""
    if reading.usage is not None:
        usage = output_tokens(ask, reading, ratio)
    else:
        usage, _ = settle(ask, reading, 200, False, 0, Taught(output=ratio))
    return (usage.output or 0) + (usage.reasoning or 0)


def error_of(sample: Sample) -> float:
    """Give the error of an estimate without teaching."""
    return abs(sample.plain - sample.truth) / sample.truth


def print_table(samples: list[Sample], folder: Path) -> None:
    """Print a line for each family and sort."""
    groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.sort, sample.family].append(sample)
        groups[sample.sort, "all"].append(sample)
    sys.stdout.write(
        f"Estimates against the provider's counts, {folder}, answers of {MIN_TOKENS} tokens or more.\n\n"
        f"{'':<10}{'provider, dialect':<32}{'n':>5}   median    p90     max   taught: median    p90     max\n"
    )
    for (sort, family), found in sorted(groups.items()):
        plain = sorted(abs(s.plain - s.truth) / s.truth for s in found)
        taught = sorted(abs(s.taught - s.truth) / s.truth for s in found)
        few = "  (few)" if len({s.name for s in found}) < FEW else ""
        sys.stdout.write(
            f"{sort:<10}{family:<32}{len(found):>5}  {figures(plain)}           {figures(taught)}{few}\n"
        )


def figures(errors: list[float]) -> str:
    """Give median, p90 and maximum."""
    p90 = errors[min(len(errors) - 1, round(0.9 * (len(errors) - 1)))]
    return f"{statistics.median(errors):7.1%} {p90:7.1%} {errors[-1]:7.1%}"


if __name__ == "__main__":
    sys.exit(main())
