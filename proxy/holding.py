"""Keeps back the events of a stream that ask for tool calls, until it is known whether these can work.

What lives here: which events pass, which wait, how much may wait. What does not: what is wrong with a call (`asked.py`), what is said instead
(`vetting.py`), where events end (`meter/cutting.py`).

Events pass, each as soon as it is whole, until the first that asks for a call. From there on they wait until the answer is over. Then they
are released as they came, or dropped.
"""

from collections.abc import Callable

from proxy.meter.cutting import Cutter


class Hold:
    """The events of one answer; told of each piece of it, until `released` or `dropped`."""

    def __init__(
        self,
        cutter: Cutter,
        limit_bytes: int,
        *,
        from_start: bool = False,
        keeps_passed: bool = False,
        drops: bool = False,
    ) -> None:
        """`from_start`: no event passes. With `keeps_passed` those that pass are kept as well, for whom needs all of the answer.

        With `drops` nothing passes of what is too long to wait.
        """
        self._drops = drops
        self._cutter = cutter
        self._limit_bytes = limit_bytes
        self._keeps_passed = keeps_passed
        self._kept_bytes = 0
        self._is_over = False
        self.is_dropped = False
        """Nothing goes on."""
        self.is_holding = from_start
        """Events wait."""
        self.gave_up = False
        """More would have had to wait than may; all of it has passed, or is dropped."""
        self.passed: list[bytes] = []
        """Events that have gone on, where they are kept."""
        self.waiting: list[bytes] = []
        """Events that have not."""

    def feed(
        self,
        data: bytes,
        meter: Callable[[bytes], bytes],
        asks: Callable[[], bool],
    ) -> bytes:
        """Take what came; give what may go on. `meter` gives what the agent is to get of an event, `asks` tells whether a call has been asked for."""
        if self._is_over:
            going_on = meter(data)
            return b"" if self.is_dropped else going_on
        going = [self._take(meter(event), asks) for event in self._cutter.feed(data)]
        if self._kept_bytes + self._cutter.waiting_bytes > self._limit_bytes:
            self.gave_up = True
            if self._drops:
                self.dropped(meter)
            else:
                going.append(self.released(meter))
        return b"".join(going)

    def _take(self, event: bytes, asks: Callable[[], bool]) -> bytes:
        self.is_holding = self.is_holding or asks()
        if self.is_holding or self._keeps_passed:
            self._kept_bytes += len(event)
        if self.is_holding:
            self.waiting.append(event)
            return b""
        if self._keeps_passed:
            self.passed.append(event)
        return event

    def ended(self, meter: Callable[[bytes], bytes]) -> bytes:
        """Take the end of the stream; give what may go on of an event that never ended."""
        rest = self._cutter.rest()
        rest = meter(rest) if rest else b""
        if not self.is_holding:
            return rest
        self.waiting.append(rest)
        return b""

    def released(self, meter: Callable[[bytes], bytes]) -> bytes:
        """Give what waits; everything passes from now on."""
        self._is_over = True
        self.is_holding = False
        rest = self._cutter.rest()
        held = b"".join([*self.waiting, meter(rest) if rest else b""])
        self.waiting, self.passed = [], []
        return held

    def dropped(self, meter: Callable[[bytes], bytes]) -> None:
        """Let nothing go on, of what waits or comes."""
        self.released(meter)
        self.is_dropped = True
