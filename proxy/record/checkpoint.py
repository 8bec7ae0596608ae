"""A worker's checkpoint: its counters and state, and the spool position up to which they hold.

What lives here: the file `spool/<worker>/<incarnation>/checkpoint` and finding the one to start from. What does not: what
is in the snapshot (`telemetry.py` and the state's owner know), when it is written (`worker.py`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from proxy.errors import RecordError
from proxy.record import codec
from proxy.record.disk import replace_file
from proxy.record.framing import Losses, Position
from proxy.record.incarnations import Incarnation, incarnations
from proxy.record.log_reader import LogReader

FILE = "checkpoint"


class Checkpoint(msgspec.Struct, frozen=True):
    """All that a successor needs besides the records behind `position`."""

    incarnation: str
    position: Position
    absorbed: tuple[str, ...] = ()
    """Older incarnations, of this worker or of one that there is no more, whose checkpoint and tail are folded into this one."""
    telemetry: msgspec.Raw = msgspec.Raw(b"\xc0")
    """The registry's snapshot, MessagePack; nil where there is none."""
    state: msgspec.Raw = msgspec.Raw(b"\xc0")
    """Live runs, budgets and the like, MessagePack."""
    under_way: tuple[str, ...] | None = None
    """The attempts that had not ended at `position`; any other one before it has ended, even where the disk has lost its
    end. `None`: the writer did not say."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Checkpoint)


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in an incarnation's directory; raises `OSError` (the old one stays)."""
    replace_file(directory / FILE, _encoder.encode(checkpoint))


def read_checkpoint(directory: Path) -> Checkpoint | None:
    """Give the checkpoint of an incarnation; `None` when there is none. Raises `RecordError` when it is unreadable."""
    try:
        data = (directory / FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{directory / FILE} cannot be read: {error}") from error
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise RecordError(f"{directory / FILE} is damaged: {error}") from error


class Predecessor(msgspec.Struct, frozen=True):
    """A dead incarnation that nobody has absorbed yet."""

    incarnation: Incarnation
    checkpoint: Checkpoint | None
    """`None`: it died before its first one, or the file is damaged; its tail is then all its records."""


def predecessors(
    root: Path, is_ours: Callable[[str], bool], own: str
) -> list[Predecessor]:
    """Give the dead incarnations before `own`, of workers that are ours by their name, that nobody has absorbed, oldest first.

    A checkpoint counts all that it absorbed; restore each of these, then fold each one's `tail`. What is older than one of the same
    worker that still lives (it drains, its supervisor was killed) is left to that one.
    """
    found = [Predecessor(each, _readable(each.path)) for each in incarnations(root)]
    absorbed = {
        name for each in found if each.checkpoint for name in each.checkpoint.absorbed
    }
    ours = [
        each
        for each in found
        if is_ours(each.incarnation.worker) and each.incarnation.name < own
    ]
    living = {
        each.incarnation.worker: each.incarnation.name
        for each in ours
        if each.incarnation.is_alive()
    }
    return [
        each
        for each in ours
        if each.incarnation.name > living.get(each.incarnation.worker, "")
        and each.incarnation.name not in absorbed
    ]


def tail(predecessor: Predecessor, losses: Losses) -> Iterator[codec.Record]:
    """Give the records of a dead incarnation that its checkpoint does not count; bad ones are counted in `losses`."""
    start = (
        predecessor.checkpoint.position if predecessor.checkpoint else Position(0, 0)
    )
    reader = LogReader(predecessor.incarnation.path, start, losses)
    try:
        while not reader.caught_up:
            for entry in reader.read(live=False):
                try:
                    record = codec.decode(entry.payload)
                except RecordError:
                    losses["undecodable"] += 1
                    continue
                if record is not None:
                    yield record
    finally:
        reader.close()


def _readable(directory: Path) -> Checkpoint | None:
    try:
        return read_checkpoint(directory)
    except RecordError:
        return None
