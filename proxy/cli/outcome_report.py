"""Reporting a run's outcome to the data port, as any agent can.

What lives here: the request and what its answer says. What does not: which outcome (`run.py`), who takes it (`proxy/reporting.py`).
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from proxy.config import Settings
from proxy.errors import TachoError

SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DataPort:
    """The data port, and the client key that it may ask for."""

    url: str
    key: str = field(default="", repr=False)
    ca_file: str = ""
    """The certificate that a TLS listener shows; it is trusted whatever name it is for."""

    def report(self, path: str, report: Mapping[str, str]) -> str:
        """POST a report; give the id of its event. Raise `TachoError` where it is not taken."""
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["x-tacho-key"] = self.key
        connection = self._connection()
        try:
            connection.request("POST", path, json.dumps(report), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read(1 << 16))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TachoError(
                f"the outcome was not reported: no answer from {self.url}: {error}"
            ) from error
        finally:
            connection.close()
        if answer.status != 202:
            raise TachoError(
                f"the outcome was not reported: {said.get('message', answer.status)}"
            )
        return str(said["event_id"])

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme != "https":
            return http.client.HTTPConnection(host, port, timeout=SECONDS)
        trust = ssl.create_default_context(cafile=self.ca_file or None)
        trust.check_hostname = False
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=trust)


def data_port(
    settings: Settings, url: str, environ: Mapping[str, str], key_env: str = ""
) -> DataPort:
    """Describe the data port: its client key is that of `key_env`, else the first of the settings that is set here."""
    names = (
        [key_env] if key_env else [each.key_env for each in settings.clients.values()]
    )
    key = next((environ[name] for name in names if environ.get(name)), "")
    tls = settings.listen_tls
    return DataPort(url, key, "" if tls is None else tls.cert_file)
