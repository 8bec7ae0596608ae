"""`make estimates`: how far estimates of output tokens are from what providers counted, by family.

Usage: python scripts/measure_estimates.py [--wrong N]. Reads the recorded traffic beside the checkout, else `tests/data`.

Sorts, and what the truth of each is:

- `stream`, `document`: a whole answer whose usage is hidden. The truth is the provider's count: independent of the estimate.
- `cut, told`: a stream cut at random where the provider counts in every event (Gemini, some of DeepSeek's). What arrived is booked as it is,
  and is the truth, too: no error is no merit of the estimate.
- `cut, events`: a cut stream of which the whole has as many events as tokens (within 3 %, and 3 tokens): then an event is a token in its
  beginning, too. Not independent, since the estimate counts events as well: it says how the estimate chooses, not how good it is at text.
- `cut, share`: any other cut stream of text alone. The truth is the provider's count of the whole, times the share of the characters that
  arrived: independent, but itself a few per cent off in short beginnings.

Thinking is left out where a provider shows a summary of it: its tokens cannot be told from that. `taught` lets the answers of other recordings
teach first, as production traffic does. The table at the end fits the scale of each tokenizer to half of the sources and tests it on the
other half.
"""

import argparse
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

if TYPE_CHECKING:
    from tests.helpers.recordings import ALL_TRAFFIC, SUBSET, Recording, recordings
else:
    from helpers.recordings import ALL_TRAFFIC, SUBSET, Recording, recordings

from msgspec.structs import replace  # noqa: E402

from proxy.meter.dialect import Head  # noqa: E402
from proxy.meter.dialects import recognise  # noqa: E402
from proxy.meter.estimate import Taught, settle  # noqa: E402
from proxy.meter.learned import MIN_TOKENS as LESSON  # noqa: E402
from proxy.meter.learned import Ratios  # noqa: E402
from proxy.meter.tee import Tee  # noqa: E402
from proxy.model import Ask, Kind, Reading, Usage  # noqa: E402

CUTS = 5
MIN_TOKENS = 10
"""Of shorter answers a token more or less is ten per cent."""
FEW = 10
SUMMARISED = ("gemini", "vertex", "openai_responses")
INDEPENDENT = {"cut, told": "no", "cut, events": "no", "cut, share": "by share"}
WORDS = ("gpt", "claude", "gemini", "nova", "command", "mistral", "llama", "titan")


class Sample(NamedTuple):
    """One estimate and its truth."""

    family: str
    sort: str
    name: str
    plain: float
    taught: float
    truth: float


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
    print_held_out(answers)
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
        truth = truth_of(ask, reading)
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


def truth_of(ask: Ask, reading: Reading) -> int:
    """Give the output tokens that can be estimated at all: thinking only where it is shown as it is."""
    usage = reading.usage
    if usage is None or usage.output is None:
        return 0
    return total(ask, reading, usage)


def total(ask: Ask, reading: Reading, usage: Usage) -> int:
    """Sum what is compared."""
    shown = usage.reasoning if shown_thinking(ask, reading) else 0
    return (usage.output or 0) + (shown or 0)


def shown_thinking(ask: Ask, reading: Reading) -> int:
    """Give the characters of thinking that is shown as it is."""
    summarised = ask.dialect.startswith(SUMMARISED)
    return 0 if summarised else reading.reasoning_chars


def samples_of(answer: Answer, others: list[Answer]) -> Iterator[Sample]:
    """Estimate an answer, and beginnings of it."""
    recording, ask, reading, truth = answer
    ratio = teach(answer, others)
    family = f"{recording.provider} {ask.dialect}"
    whole = "stream" if reading.expects_terminal or recording.streamed else "document"
    beginnings = list(cuts_of(answer)) if recording.streamed else []
    for sort, read_so_far, known in [
        (whole, replace(reading, usage=None), float(truth)),
        *beginnings,
    ]:
        plain, taught = (estimated(ask, read_so_far, r) for r in (1.0, ratio))
        yield Sample(family, sort, recording.id, plain, taught, known)


def cuts_of(answer: Answer) -> Iterator[tuple[str, Reading, float]]:
    """Cut a stream at random places; give the sort, what was read, and the truth."""
    recording, ask, reading, truth = answer
    dice = random.Random(recording.id)
    deltas = reading.output_deltas + reading.reasoning_deltas
    by_event = abs(deltas - truth) <= min(3, 0.03 * truth + 1)
    chars = reading.output_chars + shown_thinking(ask, reading)
    for _ in range(CUTS):
        _, short = read(recording, recording.body[: dice.randrange(len(recording.body))])  # fmt: skip
        if short.terminal or reading.tool_calls or not chars:
            continue
        share = truth * (short.output_chars + shown_thinking(ask, short)) / chars
        told = truth_of(ask, short)
        cut = replace(short, usage=None, finish_reason="")
        if told >= MIN_TOKENS and told >= share / 2:
            yield "cut, told", replace(short, finish_reason=""), told
        elif by_event and short.output_deltas + short.reasoning_deltas >= MIN_TOKENS:
            yield "cut, events", cut, short.output_deltas + short.reasoning_deltas
        elif not by_event and share >= MIN_TOKENS:
            yield "cut, share", cut, share


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
            ratios.learn(
                model, truth, estimated(ask, replace(reading, usage=None), 1.0)
            )
    return ratios.get(model)


def estimated(ask: Ask, reading: Reading, ratio: float) -> int:
    """Give what would be booked as output."""
    usage, _ = settle(ask, reading, 200, False, 0, Taught(output=ratio))
    return total(ask, reading, usage)


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
        f"{'':<12}{'provider, dialect':<32}{'n':>5}   median    p90     max  independent   taught: median    p90     max\n"
    )
    for (sort, family), found in sorted(groups.items()):
        plain = sorted(abs(s.plain - s.truth) / s.truth for s in found)
        taught = sorted(abs(s.taught - s.truth) / s.truth for s in found)
        few = "  (few)" if len({s.name for s in found}) < FEW else ""
        sys.stdout.write(
            f"{sort:<12}{family:<32}{len(found):>5}  {figures(plain)}  {INDEPENDENT.get(sort, 'yes'):<11}           {figures(taught)}{few}\n"
        )


def print_held_out(answers: list[Answer]) -> None:
    """Fit the scale of each tokenizer to one half of the sources; print how far it is off in the other half."""
    halves: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for recording, ask, reading, truth in answers:
        if not reading.tool_calls:
            model = (reading.model or ask.model).lower()
            name = next((word for word in WORDS if word in model), "others")
            source = recording.source.partition(":")[0].encode()
            hidden = replace(reading, usage=None, output_deltas=0, reasoning_deltas=0)
            halves[name][crc32(source) & 1].append(estimated(ask, hidden, 1.0) / truth)
    sys.stdout.write(
        "\nScales fitted to half of the sources, tested on the other half (text alone, no events counted)\n\n"
        f"{'':<12}{'n fitted':>8} {'n tested':>8}   times now   median    p90     max   as it is: median    p90     max\n"
    )
    for name, (fitted, tested) in sorted(halves.items()):
        if len(fitted) >= FEW and len(tested) >= FEW:
            times = 1 / statistics.median(fitted)
            now, then = (sorted(abs(x * t - 1) for x in tested) for t in (1.0, times))
            sys.stdout.write(
                f"{name:<12}{len(fitted):>8} {len(tested):>8} {times:>11.3f}  {figures(then)}            {figures(now)}\n"
            )


def figures(errors: list[float]) -> str:
    """Give median, p90 and maximum."""
    p90 = errors[min(len(errors) - 1, round(0.9 * (len(errors) - 1)))]
    return f"{statistics.median(errors):7.1%} {p90:7.1%} {errors[-1]:7.1%}"


if __name__ == "__main__":
    sys.exit(main())
