"""What becomes of one answer that asks for tool calls: it is looked at, and where the settings say so, a bad one does not reach the agent.

What lives here: when an answer is held, the verdict on it and what follows for the agent. What does not: what is wrong with a call (`asked.py`),
what a verdict says (`judge/tool_calls.py`), keeping events back (`holding.py`), the account (`ledger.py`).

Nothing is held but where the policy enforces. A stream is then held from the first event on that asks for a call, a whole answer until it has
come; either up to `limits.meter_buffer_bytes`. What cannot be held passes, and is counted where it should not have.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from proxy.answering import Answer
from proxy.asked import Found
from proxy.desk import Desk
from proxy.endings import judge
from proxy.forward.http1 import AnswerHead
from proxy.forward.watch import Ending
from proxy.holding import Hold
from proxy.judge import reasks
from proxy.judge.refusals import Asker, error_type_of, refuse, tell
from proxy.judge.shapes import Manner, Told, family_of
from proxy.judge.stream_errors import Begun, last_words
from proxy.judge.verdict import Action, Verdict
from proxy.judging import Judging
from proxy.meter import grafts
from proxy.meter.cutting import EventCutter, cutter_for
from proxy.meter.decode import Inflater
from proxy.model import Ask, ErrorType, Kind, Outcome, Reading
from proxy.record.codec import AskedCall
from proxy.record.exchange import Exchange

HELD = "held"
"""In `altered`: events were held back from the first on that asks for a tool call, or a whole answer until it had come."""
BLOCKED_CALL = "blocked_call"
"""In `altered`: the agent got an error instead of calls that cannot work."""
REASKED = "reasked"
"""In `altered`: the request is the agent's with a stopped answer and its errors behind it, and of the answer the agent gets what fits to what it had."""
IDENTITY_ASKED = "identity_asked"
"""In `altered`: the upstream was asked for a stream without a content coding."""
_PLAIN = (b"", b"identity")
_WHOLE = Ending(Outcome.COMPLETED)
_EVENTS = "text/event-stream"
_SILENCE = Told("", "")
_OK = 200


class Stopped(NamedTuple):
    """An answer that the agent did not get."""

    verdict: Verdict
    passed: tuple[bytes, ...] | None
    """Events of a stream that it did get; `None` of a whole answer."""


class Vetting:
    """Looks at the calls of one answer."""

    def __init__(
        self,
        desk: Desk,
        exchange: Exchange,
        judging: Judging,
        answer: Answer,
    ) -> None:
        self._desk = desk
        self._exchange = exchange
        self._judging = judging
        self._answer = answer
        opened = exchange.opened
        self.asker: Callable[[], Asker] = partial(
            Asker, opened.dialect, opened.provider
        )
        """Says who is answered, and with that what was asked."""
        # Nothing but a model asks for calls: answers of tools pass as they come.
        self._settings = judging.tool_calls if opened.kind is Kind.LLM else None
        exchange.asks = self.calls
        self._content_type = ""
        self._found: Found | None = None
        self._room = 0
        self._is_whole = False
        self._is_over = False
        self._is_fine = False
        self._error_type = ErrorType.NONE
        self._out = b""
        self._coding = b""
        self._body = b""
        self._first: Stopped | None = None
        self.stopped: Stopped | None = None
        """What the agent did not get."""
        self.wanted: bytes | None = None
        """See `Watch`."""

    @property
    def stands_in(self) -> bool:
        """Whether this is a whole answer that the agent gets instead of one that was stopped."""
        return self._first is not None and self._is_whole and self._is_fine

    @property
    def enforces(self) -> bool:
        """Whether bad calls must not reach the agent."""
        return self._settings is not None and self._settings.mode == "enforce"

    def wants_plain(self, ask: Ask, coding: bytes) -> bool:
        """Whether the upstream is to be asked for an answer without a coding; the agent asked for this one."""
        if not (self.enforces and ask.stream):
            return False
        if coding.lower() not in _PLAIN:
            self._exchange.altered.append(IDENTITY_ASKED)
        return True

    def follow(self, first: "Vetting") -> None:
        """Note that this answer is asked for instead of one that was stopped."""
        self._first = first.stopped
        self._exchange.altered.append(REASKED)

    # While the answer passes.

    def answered(self, head: AnswerHead) -> None:
        """Take the head of the answer; from here on a stream is held where it must be. May raise."""
        self._content_type = head.get(b"content-type").decode("latin-1")
        self._coding = head.get(b"content-encoding").strip().lower()
        settings, limit = self._settings, self._desk.meter_buffer_bytes
        if settings is None or not self.enforces or head.status != _OK:
            return
        cutter = cutter_for(self._content_type) if self._coding in _PLAIN else None
        if self._first is not None and self._first.passed is not None:
            # Whatever it turns out to be, it must not go on behind what the agent has got as it is.
            self._answer.hold = Hold(cutter or EventCutter(), limit, from_start=True, drops=True)  # fmt: skip
        elif cutter is not None and self._last_words(_SILENCE) is not None:
            dialect = self._exchange.opened.dialect
            may_repair = settings.action == "repair" and dialect in reasks.FAMILIES
            from_start = may_repair and dialect not in grafts.JOINED
            self._answer.hold = Hold(cutter, limit, from_start=from_start, keeps_passed=may_repair)  # fmt: skip

    def keeps(self, ask: Ask, head: AnswerHead) -> int:
        """Say how many bytes a whole answer may have to be kept back until it has come; 0: it passes as it comes."""
        is_kept = self.enforces and not ask.stream and head.status == _OK
        self._room = self._desk.meter_buffer_bytes if is_kept else 0
        return self._room

    def passed(self, data: bytes, *, finished: bool) -> bytes:
        """Take what may go on of a piece; give it with what goes on or is said since the answer is over. `finished`: no more comes."""
        # What is all here when it first passes was kept back by whoever asked how much may be.
        if self._room:
            self._is_whole = finished and 0 < len(data) <= self._room
            self._body, self._room = data if self._is_whole else b"", 0
        hold = self._answer.hold
        if hold is None or self._is_over:
            return data
        if finished:
            data += self._answer.ended()
        if finished or self._answer.terminal:
            reading = self._answer.reading()
            self.over(judge(_WHOLE, self._exchange.http_status, reading), reading)
        # Of an answer that another one may take the place of, the last words wait for that.
        return data if self.wanted is not None else data + self.rest()

    def rest(self) -> bytes:
        """Give what goes on, or is said, since the answer is over."""
        out, self._out = self._out, b""
        return out

    # When it is over.

    def calls(self, reading: Reading) -> tuple[AskedCall, ...]:
        """Give the calls for the row."""
        return self._look(reading).calls

    def _look(self, reading: Reading) -> Found:
        if self._found is None:
            look = self._desk.asking.look
            self._found = look(lambda: self.asker().body, reading)
        return self._found

    def over(self, ending: Ending, reading: Reading) -> Ending:
        """Decide, once, what becomes of an answer that ended so; give how the exchange ended with that."""
        if not self._is_over:
            self._is_over = True
            try:
                self._decide(ending, reading)
            except Exception:  # noqa: BLE001  # the guard of the phase judge: what was held goes on
                self._desk.fault("judge")
            self._release()
        if self._error_type and ending.outcome is Outcome.COMPLETED:
            return Ending(Outcome.BLOCKED, self._error_type)
        return ending

    def _decide(self, ending: Ending, reading: Reading) -> None:
        settings = self._settings
        cut = ending.error_type is ErrorType.NO_TERMINAL_EVENT
        if settings is None or not (ending.outcome is Outcome.COMPLETED or cut):
            return
        verdict = self._look(reading).verdict(settings)
        if verdict is not None and verdict.action is Action.BLOCK:
            verdict = self._enforced(verdict, reading)
        if verdict is not None:
            self._judging.answered(verdict)
        self._is_fine = verdict is None and not cut

    def _enforced(self, verdict: Verdict, reading: Reading) -> Verdict:
        """Stop an answer; one that cannot be stopped any more is only spoken of."""
        hold = self._answer.hold
        if not self._is_whole and (hold is None or not hold.is_holding):
            self._desk.asking.unheld()
            return msgspec.structs.replace(verdict, action=Action.WOULD_BLOCK)
        if self._first is None:
            self.wanted = self._reask(reading)
        self._stop(verdict)
        return verdict

    def _stop(self, verdict: Verdict) -> None:
        """Let the agent get an error instead of what is held."""
        hold = self._answer.hold
        self.stopped = Stopped(verdict, None if hold is None else tuple(hold.passed))
        self._error_type = error_type_of(verdict)
        self._exchange.altered.append(BLOCKED_CALL)
        if hold is None:
            self._judging.refusal = refuse(verdict, self.asker())
        else:
            self._out = self._last_words(tell(verdict, Manner.FINAL)) or b""

    def _reask(self, reading: Reading) -> bytes | None:
        """Give the request that asks again, where the settings want that and the family allows it."""
        settings, body, hold = self._settings, self.asker().body, self._answer.hold
        if settings is None or settings.action != "repair" or body is None:
            return None
        found = self._look(reading)
        events = [] if hold is None else [*hold.passed, *hold.waiting]
        whole = self._whole()
        said = reasks.Answered(reading, found.checked, found.offered, events, whole)
        try:
            return reasks.reask(self._exchange.opened.dialect, body, said)
        except Exception:  # noqa: BLE001  # the guard of the phase judge: it is not asked again
            self._desk.fault("judge")
            return None

    def _whole(self) -> bytes:
        """Give a whole answer without its coding."""
        if self._coding in _PLAIN:
            return self._body
        inflater = Inflater(self._coding.decode("latin-1"), self._desk.meter_buffer_bytes)  # fmt: skip
        return b"".join(inflater.pieces(self._body))

    def _release(self) -> None:
        """Let go on what was held, unless it was stopped; behind an earlier answer only what fits there."""
        hold, first = self._answer.hold, self._first
        was_held = hold is not None and (hold.is_holding or hold.gave_up)
        if self._is_whole or was_held:
            self._exchange.altered.append(HELD)
        if first is not None and not self._error_type:
            self._take_place(first)
        elif hold is not None and not self._error_type:
            self._out = self._answer.released()
        if hold is not None and self._error_type:
            self._answer.drop()

    def _take_place(self, first: Stopped) -> None:
        """Let this answer, with which nothing is wrong, go on instead of the first."""
        hold = self._answer.hold
        if hold is not None and first.passed is not None:
            joined = self._joined(first.passed, hold) if self._is_fine else None
            if joined is None:
                self._stop(first.verdict)
                self._judging.answered(first.verdict)
                return
            self._answer.released()
            self._out = joined
        if self._is_fine:
            self._judging.answered(msgspec.structs.replace(first.verdict, action=Action.REPAIRED))  # fmt: skip

    def _joined(self, passed: Sequence[bytes], hold: Hold) -> bytes | None:
        if hold.gave_up or self._coding not in _PLAIN or not self._content_type.startswith(_EVENTS):  # fmt: skip
            return None
        try:
            return grafts.graft(self._exchange.opened.dialect, passed, hold.waiting)
        except Exception:  # noqa: BLE001  # the guard of the phase meter: the agent gets the error of the first answer
            self._desk.fault("meter")
            return None

    def _last_words(self, told: Told) -> bytes | None:
        asker = self.asker()
        family = family_of(asker.dialect, asker.provider)
        stream = Begun(family, asker.dialect, self._content_type, asker.body)
        return last_words(stream, told)
