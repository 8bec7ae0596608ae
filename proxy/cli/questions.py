"""The questions of `dashboards/queries/` that commands ask, and their answers as values.

What lives here: `ask` with a question's name, the rows of `runs.sql`, `run_steps.sql` and `run_verdicts.sql`. What does not: the SQL, how rows look
(`waterfall.py`, `runs_table.py`).
"""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import TypeVar

import msgspec

from proxy.cli.figures import AT_LEAST, ESTIMATED
from proxy.cli.store import Store
from proxy.errors import TachoError

_PRICED = ("llm", "embedding")
"""Kinds of calls that have prices."""
DATABASE = "tacho."
"""How the questions name the database; a store may have another."""


class RunRow(msgspec.Struct, frozen=True):
    """A row of `runs.sql`."""

    tenant: str
    run: str
    agent: str
    """Who made its first call; another one may have taken over."""
    agent_version: str
    agent_source: str
    agents: int
    session: str
    root: str
    parent: str
    children: tuple[str, ...]
    source: str
    """The least certain rung that joined a call to it; empty for a run without calls."""
    started: datetime
    seconds: float | None
    outcome: str
    outcome_source: str
    """`reported` or `inferred`."""
    outcome_reason: str
    outcome_value: Decimal | None
    """What it was worth, if somebody said so."""
    last_error: str
    """How its last call failed; empty where that went well."""
    steps: int
    attempts: int
    retried_steps: int
    tool_calls: int
    input_tokens: int | None
    """`None` where nobody said or estimated any, as of the next two."""
    cached_tokens: int | None
    output_tokens: int | None
    estimated_rows: int
    usd: Decimal | None
    assumed_rows: int
    unpriced_attempts: int
    refused: int
    """Calls that a policy refused here; they are no steps and no attempts."""
    would_refuse: int
    """Calls that went on, and which a policy that only observes would have refused."""

    @property
    def mark(self) -> str:
        """What stands before its dollars: `≥` where attempts have no price, `~` where counts or prices are not known; else nothing."""
        if self.unpriced_attempts:
            return AT_LEAST
        return ESTIMATED if self.estimated_rows or self.assumed_rows else ""


class AttemptRow(msgspec.Struct, frozen=True):
    """A row of `run_steps.sql`."""

    step_id: str
    attempt_id: str
    began: datetime
    offset_seconds: float
    step_seq: int | None
    turn_seq: int | None
    attempt: int
    retry_layer: str
    is_step: bool
    kind: str
    step_name: str
    agent: str
    source: str
    """The rung that joined it to the run."""
    route: str
    model: str
    outcome: str
    error_type: str
    http_status: int | None
    finish_reason: str
    verdict_policy: str
    verdict_action: str
    verdict_reason: str
    breaker_state: str
    seconds: float | None
    first_token_seconds: float | None
    asked_tools: tuple[str, ...]
    usage_source: str
    cost_source: str
    parts: int
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    usd: Decimal | None

    @property
    def end_seconds(self) -> float:
        """When it ended, from the run's begin."""
        return self.offset_seconds + (self.seconds or 0.0)


def mark_of(rows: Sequence[AttemptRow]) -> str:
    """Say how sure dollars are, as `RunRow.mark` does."""
    if any(row.cost_source == "unpriced" and row.kind in _PRICED for row in rows):
        return AT_LEAST
    guessed = any(row.usage_source in ("partial", "estimated") for row in rows)
    return ESTIMATED if guessed or any(row.cost_source == "assumed" for row in rows) else ""  # fmt: skip


class VerdictRow(msgspec.Struct, frozen=True):
    """A row of `run_verdicts.sql`."""

    began: datetime
    """When the call did."""
    step_id: str
    type: str
    policy: str
    action: str
    """`warn`, `would_block` or `block`."""
    reason: str
    scope: str = ""
    value: Decimal | None = None
    threshold: Decimal | None = None
    route: str = ""
    model: str = ""
    message: str = ""


Row = TypeVar("Row", bound=msgspec.Struct)


class NoAnswerError(TachoError):
    """The store gave no answer; it has said why."""

    def __init__(self) -> None:
        super().__init__("the store gave no answer")


def ask(
    store: Store, name: str, row: type[Row], parameters: Mapping[str, str]
) -> list[Row]:
    """Ask `dashboards/queries/<name>.sql`; raise `NoAnswerError` where the store complains."""
    found = _lines(store, statement(store, name), parameters)
    return [read(line, row) for line in found]


def statement(store: Store, name: str) -> str:
    """Give `dashboards/queries/<name>.sql` as this store understands it."""
    text = files("dashboards").joinpath("queries", f"{name}.sql").read_text("utf-8")
    return text.replace(DATABASE, f"{store.database}.")


def read(line: bytes, row: type[Row]) -> Row:
    """Read one row; servers of older versions write 64-bit numbers as text."""
    fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    for moment in ("started", "began", "ended"):
        if moment in fields:
            text = msgspec.json.decode(fields[moment], type=str)
            fields[moment] = msgspec.Raw(b'"%bZ"' % text.replace(" ", "T").encode())
    return msgspec.json.decode(msgspec.json.encode(fields), type=row, strict=False)


def runs(
    store: Store,
    *,
    since_seconds: int = 0,
    agent: str = "",
    session: str = "",
    run: str = "",
    max_runs: int = 50,
) -> list[RunRow]:
    """Ask for the latest runs; `run` is the beginning of an id, one that is exactly that comes first."""
    asked = {
        "since_seconds": str(since_seconds),
        "agent": agent,
        "session": session,
        "run": run,
        "max_runs": str(max_runs),
    }
    return ask(store, "runs", RunRow, asked)


def attempts(store: Store, run: RunRow) -> list[AttemptRow]:
    """Ask for one run's attempts, in order."""
    return ask(store, "run_steps", AttemptRow, {"run": run.run, "tenant": run.tenant})


def verdicts(store: Store, run: RunRow) -> list[VerdictRow]:
    """Ask for what policies said of one run's calls, in order."""
    return ask(store, "run_verdicts", VerdictRow, {"run": run.run, "tenant": run.tenant})  # fmt: skip


def has_event(store: Store, event_id: str) -> bool:
    """Tell whether an event has come to the store."""
    asked = (
        f"SELECT 1 FROM {store.database}.events WHERE event_id = {{id:String}} LIMIT 1"
    )
    return bool(_lines(store, asked, {"id": event_id}))


def work(store: Store, since_seconds: int, agent: str) -> int:
    """Count the calls of this time that are work, refused ones included."""
    statement = (
        f"SELECT count() AS calls FROM {store.database}.steps WHERE part = 0 AND is_step "
        "AND ts > now64(6) - toIntervalSecond({since_seconds:UInt32}) AND ({agent:String} = '' OR agent = {agent:String})"
    )
    asked = {"since_seconds": str(since_seconds), "agent": agent}
    (line,) = _lines(store, statement, asked)
    return int(msgspec.json.decode(line)["calls"])


def strays(store: Store, since_seconds: int) -> int:
    """Count the calls of this time that are work and in no run."""
    asked = (
        f"SELECT count() AS strays FROM {store.database}.steps WHERE part = 0 AND is_step AND run_id = '' "
        "AND ts > now64(6) - toIntervalSecond({since_seconds:UInt32})"
    )
    (line,) = _lines(store, asked, {"since_seconds": str(since_seconds)})
    return int(msgspec.json.decode(line)["strays"])


def _lines(store: Store, asked: str, parameters: Mapping[str, str]) -> list[bytes]:
    out = io.BytesIO()
    if store.ask(asked, "JSONEachRow", out, parameters) != 0:
        raise NoAnswerError
    return out.getvalue().splitlines()
