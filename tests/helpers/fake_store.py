"""A ClickHouse HTTP interface that answers by rote, in a thread.

What lives here: the server and what it was asked. What does not: SQL; a statement that contains a key of `answers` gets its value.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """One request."""

    path: str
    statement: str
    authorization: str


@dataclass
class FakeStore:
    """What was asked, and what is answered: (status, body)."""

    port: int = 0
    answer: tuple[int, bytes] = (200, b"1\n")
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def fake_store() -> Iterator[FakeStore]:
    """Serve until the block ends."""
    store = FakeStore()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            statement = self.rfile.read(int(self.headers["Content-Length"])).decode()
            store.asked.append(
                Asked(self.path, statement, self.headers["Authorization"])
            )
            found = [store.answers[key] for key in store.answers if key in statement]
            status, body = found[0] if found else store.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        store.port = server.server_address[1]
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        thread.start()
        yield store
        server.shutdown()
        thread.join()
