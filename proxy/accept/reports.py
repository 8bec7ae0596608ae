"""What an agent, or who runs it, reports of a run: how it went, in its own judgement.

What lives here: which targets are reports, and reading their body. What does not: who may report and where it is written
(`proxy/reporting.py`), what follows from a report (SQL: the newest one counts). A report never goes upstream.
"""

from dataclasses import dataclass

import msgspec

from proxy.accept.refusal import Refusal
from proxy.accept.routes import read_prefixes
from proxy.model import ErrorType, RunOutcome

MAX_REPORT_BYTES = 4096
_OF_A_RUN = b"/outcome"
_OF_A_RESPONSE = b"/tacho/outcome"
_ALLOWED = (("Allow", "POST"),)
_EXAMPLE = '{"outcome": "success"}'
_REPORTABLE = tuple(str(each) for each in RunOutcome if each.is_reportable)


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """What a report is about, as far as the path says it."""

    run: str
    """Empty: the body names a response."""
    tenant: str = ""
    agent: str = ""


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a report."""

    outcome: str
    reason: str = ""
    value: float | None = None
    """A number of the reporter's own: a score, a count of what was done."""
    response_id: str = ""
    """The provider's id of one answer of the run; only where the path names no run."""


_decoder = msgspec.json.Decoder(Report)


def read_target(method: str, target: bytes) -> ReportTarget | Refusal | None:
    """Say what a report is about; `None` for a request that is none. `/run/<id>/outcome` is never a route of that name."""
    path, question, _ = target.partition(b"?")
    if not path.endswith(_OF_A_RUN):
        return None
    named = read_prefixes(path)
    if isinstance(named, Refusal):
        return None  # the routes refuse it in the same words
    values, rest = named
    run = values.get(b"run", "")
    if not (rest == _OF_A_RESPONSE or (b"run" in values and rest == _OF_A_RUN)):
        return None
    if not all(values.values()):
        return _bad(
            "a name in the path must be 1 to 128 characters of A-Z a-z 0-9 . _ : -"
        )
    if method != "POST":
        message = f"an outcome is reported with POST and a body such as {_EXAMPLE}"
        return Refusal(405, "bad_method", ErrorType.INVALID_REQUEST, message, _ALLOWED)
    if question:
        return _bad("a report takes no query; all of it stands in the body")
    return ReportTarget(run, values.get(b"tenant", ""), values.get(b"agent", ""))


def read_report(target: ReportTarget, body: bytes) -> Report | Refusal:
    """Read the body strictly; never raises."""
    try:
        report = _decoder.decode(body)
    except msgspec.DecodeError as error:
        return _bad(f"the body must be JSON such as {_EXAMPLE}: {error}")
    if report.outcome not in _REPORTABLE:
        return _bad(f"outcome must be one of {', '.join(_REPORTABLE)}")
    if target.run and report.response_id:
        return _bad("the path names the run already; leave response_id out")
    if not (target.run or report.response_id):
        return _bad(
            "which run? POST to /run/ID/outcome, or put the response_id of one of its answers into the body"
        )
    return report


def too_large() -> Refusal:
    """Refuse a body beyond the limit."""
    message = f"a report has {MAX_REPORT_BYTES} bytes at most; shorten the reason"
    return Refusal(413, "report_too_large", ErrorType.TOO_LARGE, message)


def _bad(message: str) -> Refusal:
    return Refusal(400, "bad_report", ErrorType.INVALID_REQUEST, message)
