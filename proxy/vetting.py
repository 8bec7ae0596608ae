"""What becomes of one answer that asks for tool calls: it is looked at, and where the settings say so, a bad one does not reach the agent.

What lives here: when an answer is held, the verdict on it and what follows for the agent. What does not: what is wrong with a call (`asked.py`),
what a verdict says (`judge/tool_calls.py`), keeping events back (`holding.py`), the account (`ledger.py`).

Nothing is held but where the policy enforces. A stream is then held from the first event on that asks for a call, a whole answer until it has
come; either up to `limits.meter_buffer_bytes`. What cannot be held passes, and is counted where it should not have.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from proxy.answering import Answer
from proxy.asked import Found
from proxy.desk import Desk
from proxy.endings import judge
from proxy.forward.http1 import AnswerHead
from proxy.forward.watch import Ending
from proxy.holding import Hold
from proxy.judge.refusals import Asker, error_type_of, refuse, tell
from proxy.judge.shapes import Manner, Told, family_of
from proxy.judge.stream_errors import Begun, last_words
from proxy.judge.verdict import Action, Verdict
from proxy.judging import Judging
from proxy.meter.cutting import Cutter, cutter_for
from proxy.model import Ask, ErrorType, Outcome, Reading
from proxy.record.codec import AskedCall
from proxy.record.exchange import Exchange

HELD = "held"
"""In `altered`: events were held back from the first on that asks for a tool call, or a whole answer until it had come."""
BLOCKED_CALL = "blocked_call"
"""In `altered`: the agent got an error instead of calls that cannot work."""
IDENTITY_ASKED = "identity_asked"
"""In `altered`: the upstream was asked for a stream without a content coding."""
_PLAIN = (b"", b"identity")
_WHOLE = Ending(Outcome.COMPLETED)
_SILENCE = Told("", "")
_OK = 200


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
        self._settings = judging.tool_calls
        exchange.asks = self.calls
        self._content_type = ""
        self._found: Found | None = None
        self._room = 0
        self._is_whole = False
        self._is_over = False
        self._error_type = ErrorType.NONE
        self._out = b""

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

    # While the answer passes.

    def answered(self, head: AnswerHead) -> None:
        """Take the head of the answer; from here on a stream is held where it must be. May raise."""
        self._content_type = head.get(b"content-type").decode("latin-1")
        encoding = head.get(b"content-encoding").lower()
        if self.enforces and head.status == _OK and encoding in _PLAIN:
            cutter = cutter_for(self._content_type)
            if cutter is not None and self._last_words(_SILENCE) is not None:
                self._hold(cutter)

    def _hold(self, cutter: Cutter) -> None:
        self._answer.hold = Hold(cutter, self._desk.meter_buffer_bytes)

    def keeps(self, ask: Ask, head: AnswerHead) -> int:
        """Say how many bytes a whole answer may have to be kept back until it has come; 0: it passes as it comes."""
        is_kept = self.enforces and not ask.stream and head.status == _OK
        self._room = self._desk.meter_buffer_bytes if is_kept else 0
        return self._room

    def passed(self, data: bytes, *, finished: bool) -> bytes:
        """Take what may go on of a piece; give it with what goes on or is said since the answer is over. `finished`: no more comes."""
        # What is all here when it first passes was kept back by whoever asked how much may be.
        self._is_whole = finished and 0 < len(data) <= self._room
        self._room = 0
        hold = self._answer.hold
        if hold is None or self._is_over:
            return data
        if finished:
            data += self._answer.ended()
        if finished or self._answer.terminal:
            reading = self._answer.reading()
            self.over(judge(_WHOLE, self._exchange.http_status, reading), reading)
        return data + self.rest()

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
        if verdict is None:
            return
        if verdict.action is Action.BLOCK:
            verdict = self._enforced(verdict)
        self._judging.answered(verdict)

    def _enforced(self, verdict: Verdict) -> Verdict:
        """Stop an answer; one that cannot be stopped any more is only spoken of."""
        hold = self._answer.hold
        if self._is_whole:
            self._judging.refusal = refuse(verdict, self.asker())
        elif hold is not None and hold.is_holding:
            self._exchange.altered.append(HELD)
            self._out = self._last_words(tell(verdict, Manner.FINAL)) or b""
            self._answer.drop()
        else:
            self._desk.asking.unheld()
            return msgspec.structs.replace(verdict, action=Action.WOULD_BLOCK)
        self._error_type = error_type_of(verdict)
        self._exchange.altered.append(BLOCKED_CALL)
        return verdict

    def _release(self) -> None:
        """Let go on what was held, unless it was dropped."""
        hold = self._answer.hold
        was_held = hold is not None and (hold.is_holding or hold.gave_up)
        if self._is_whole or was_held:
            self._exchange.altered.append(HELD)
        if hold is not None and not self._error_type:
            self._out = self._answer.released()

    def _last_words(self, told: Told) -> bytes | None:
        asker = self.asker()
        family = family_of(asker.dialect, asker.provider)
        stream = Begun(family, asker.dialect, self._content_type, asker.body)
        return last_words(stream, told)
