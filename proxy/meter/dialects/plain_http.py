"""Any HTTP call: tools, and operations that no other dialect knows.

What lives here: the dialect of last resort, which recognises everything and counts no tokens. What does not: what sort of
upstream it is; the pipeline replaces `kind` by that of the route.
"""

from proxy.meter import asks
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

HTTP = Operation("http", Kind.OTHER, is_step=True, buffered=False)
PROBE = Operation("probe", Kind.OTHER, is_step=False, buffered=False)
"""Asks whether somebody is there; no work."""


class PlainHttp:
    """See the module."""

    name = "plain_http"

    def operation(self, method: str, path: str) -> Operation:
        """See `Dialect`; recognises all."""
        return PROBE if method in ("HEAD", "OPTIONS") else HTTP

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        return asks.blank(self.name, operation)

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return unmetered(head.status)
