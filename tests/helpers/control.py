"""A control socket that answers `/status`, in a thread.

What lives here: the socket and its one answer. What does not: the product's own server (`proxy/control.py`).
"""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from proxy.control_paths import socket_path


@contextmanager
def answering_control(
    data_dir: Path, name: str, status: Mapping[str, object], code: int = 200
) -> Iterator[None]:
    """Answer every request with the same until the block ends."""
    body = json.dumps(status).encode()
    head = f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    path = socket_path(data_dir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if not connection.recv(65536).startswith(b"GET /status "):
                        return
                    connection.sendall(head + body)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
            last.sendall(b"END")
        thread.join()
    path.unlink()
