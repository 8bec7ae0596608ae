"""`tacho proxy` hands its mode on; what serving means: `test_serving.py`, `tests/proxy/test_supervisor.py`."""

import argparse

import pytest

from proxy.cli import proxy, serving


def test_it_serves_its_mode(monkeypatch: pytest.MonkeyPatch):
    served = []

    def serve(mode: str, arguments: argparse.Namespace) -> int:
        served.append((mode, arguments.listen))
        return 7

    monkeypatch.setattr(serving, "serve", serve)
    parser = argparse.ArgumentParser()
    proxy.configure(parser)
    assert proxy.run(parser.parse_args(["--listen", "127.0.0.1:9"])) == 7
    assert served == [("proxy", "127.0.0.1:9")]
