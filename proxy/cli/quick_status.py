"""Asking a process of the product for its status, for commands whose answer should be there at once.

What lives here: one blocking GET on a control socket. What does not: everything else that is asked there (`proxy/control_client.py`,
whose HTTP client takes longer to import than most answers take).
"""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from proxy.control_paths import canonical, real_path, socket_path

SECONDS = 5.0


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("control", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def quick_status(data_dir: Path, name: str) -> dict[str, Any]:
    """Give what the process says of itself; nothing where nobody answers."""
    connection = _Connection(real_path(canonical(socket_path(data_dir, name))))
    try:
        connection.request("GET", "/status")
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return said if answer.status == 200 and isinstance(said, dict) else {}
