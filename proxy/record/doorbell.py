"""Wakes a thread that waits for work, from an event loop.

What lives here: a wait with a time limit that another thread can end. What does not: the work.

Strategy: a byte through a pair of sockets, not a lock or a queue. To send it the loop's thread lets go of the interpreter, so
that the one that is woken can run; a lock is released with the interpreter held, and the woken thread only goes to sleep again.
That is two changes of thread instead of six for each record that an answer waits for.
"""

import contextlib
import socket
import struct


class Doorbell:
    """One thread waits, another rings; rings while nobody waits are kept, as one."""

    def __init__(self, timeout_seconds: float) -> None:
        """A wait ends after so long without a ring."""
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        # Blocking with the kernel's own limit: a socket with a timeout of Python's would poll before each read.
        seconds, rest = divmod(timeout_seconds, 1)
        limit = struct.pack("@ll", int(seconds), int(rest * 1e6))
        self._ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._rung = False

    def ring(self) -> None:
        """Wake the thread that waits, or the next one that will."""
        if not self._rung:
            self._rung = True
            with contextlib.suppress(
                OSError
            ):  # full: it has been rung; closed: nobody is there
                self._bell.send(b"!")

    def wait(self) -> None:
        """Wait for a ring."""
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(64)

    def answer(self) -> None:
        """Say that the work will be looked at now: who adds to it from here on has to ring again."""
        self._rung = False

    def close(self) -> None:
        """Give the sockets back."""
        self._bell.close()
        self._ear.close()
