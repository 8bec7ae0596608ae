"""Reporting an outcome to something that answers like the data port, or does not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from proxy.cli.outcome_report import DataPort, data_port
from proxy.config import ClientSettings, Settings, TlsListener
from proxy.errors import TachoError

Asked = list[tuple[str, dict[str, str], bytes]]


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, Asked]]:
    asked: Asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            read = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, dict(self.headers), read))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_report_gives_the_id_of_its_event():
    with answering(202, b'{"event_id":"e1"}') as (url, asked):
        port = DataPort(url, "a-key")
        assert port.report("/run/R1/outcome", {"outcome": "success"}) == "e1"
    ((path, headers, body),) = asked
    assert (path, body) == ("/run/R1/outcome", b'{"outcome": "success"}')
    assert headers["x-tacho-key"] == "a-key"
    assert "a-key" not in repr(port)


def test_a_refusal_is_told_in_its_own_words():
    with (
        answering(401, b'{"message":"tachograph: a client key is needed"}') as (
            url,
            _,
        ),
        pytest.raises(TachoError, match="a client key is needed"),
    ):
        DataPort(url).report("/run/R1/outcome", {})


@pytest.mark.parametrize("body", [b"not JSON", b""])
def test_an_answer_of_somebody_else_is_no_answer(body: bytes):
    with (
        answering(200, body) as (url, _),
        pytest.raises(TachoError, match="the outcome was not reported"),
    ):
        DataPort(url).report("/run/R1/outcome", {})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_there_is_one_line(scheme: str):
    with pytest.raises(TachoError, match="no answer from"):
        DataPort(f"{scheme}://127.0.0.1:1").report("/run/R1/outcome", {})


def test_the_key_is_the_first_that_is_set_or_the_one_that_is_named():
    clients = {name: ClientSettings(key_env=name.upper()) for name in ("a", "b", "c")}
    settings = Settings(clients=clients)
    environ = {"B": "key-b", "C": "key-c"}
    assert data_port(settings, "http://h", environ).key == "key-b"
    assert data_port(settings, "http://h", environ, "C").key == "key-c"
    assert data_port(settings, "http://h", {}).key == ""


def test_a_tls_listener_is_trusted_by_its_own_certificate():
    settings = Settings(listen_tls=TlsListener(cert_file="c.pem", key_file="k.pem"))
    assert data_port(settings, "https://h", {}).ca_file == "c.pem"
