"""A load balancer in a thread: each request goes to the next of several proxies, over a connection of its own.

An SDK keeps its connection, and with it its worker; behind this it meets all of them in turn. What breaks behind it breaks before it.
"""

import http.client
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host"})


@contextmanager
def balanced(ports: Sequence[int]) -> Iterator[str]:
    """Give the root URL of a balancer before these ports of loopback."""
    turns, lock = itertools.cycle(ports), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        """HTTP/1.0: each answer ends its connection."""

        def do_POST(self) -> None:
            with lock:
                port = next(turns)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}  # fmt: skip
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                upstream.request("POST", self.path, body, sent)
                self._give(upstream.getresponse())
            except (OSError, http.client.HTTPException):
                self.close_connection = True  # without an answer
            finally:
                upstream.close()

        def _give(self, answer: http.client.HTTPResponse) -> None:
            started = False
            while True:
                piece = answer.read1(65_536)
                if not started:  # what breaks before its first byte is not begun
                    self.send_response_only(answer.status, answer.reason)
                    for name, value in answer.getheaders():
                        if name.lower() not in _HOP:
                            self.send_header(name, value)
                    self.end_headers()
                    started = True
                if not piece:
                    return
                self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="balancer")  # fmt: skip
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
