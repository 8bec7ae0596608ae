"""`tacho up` hands its mode on; what serving means: `test_serving.py`, `tests/proxy/test_supervisor.py`."""

import argparse

import pytest

from proxy.cli import serving, up


def test_it_serves_its_mode(monkeypatch: pytest.MonkeyPatch):
    served = []

    def serve(mode: str, arguments: argparse.Namespace) -> int:
        served.append((mode, arguments.listen))
        return 7

    monkeypatch.setattr(serving, "serve", serve)
    parser = argparse.ArgumentParser()
    up.configure(parser)
    assert up.run(parser.parse_args(["--listen", "127.0.0.1:9"])) == 7
    assert served == [("up", "127.0.0.1:9")]
