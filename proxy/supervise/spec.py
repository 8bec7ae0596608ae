"""What a child process is to be, before there is one.

What lives here: `ChildSpec`, how patient to be with it (`Watch`), and the words for what it is doing (`State`). What does not:
processes (`children.py`), which children there are (`supervisor.py`).
"""

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """What a child is doing, as `/status` shows it."""

    WAITING = "waiting"
    """Its turn has not come yet."""
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing_off"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Watch:
    """When silence on the control socket means that a child hangs."""

    every_seconds: float = 2.0
    answer_within_seconds: float = 5.0
    misses: int = 3
    """So many in a row, and `misses * answer_within_seconds` of silence, and the child is killed."""

    @property
    def silence_seconds(self) -> float:
        """The silence that it takes, however fast the misses came."""
        return self.misses * self.answer_within_seconds


PATIENT = Watch(misses=6)
"""For the worker: to kill it breaks calls, so it gets 30 s."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run, and how patient to be with it."""

    name: str
    argv: tuple[str, ...]
    pass_fds: tuple[int, ...] = ()
    ready_within_seconds: float = 60.0
    stop_within_seconds: float = 10.0
    """From SIGTERM to SIGKILL."""
    watch: Watch = field(default_factory=Watch)
    takes_reload: bool = True
    """Whether SIGHUP is passed on to it."""
    is_vital: bool = False
    """The service stands as long as one such child does; the others only degrade it."""
