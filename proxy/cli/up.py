"""`tacho up`: runs everything: the data port, the exporter and the embedded store, until SIGTERM or Ctrl-C."""

import argparse

from proxy.cli.options import add_serving

EXAMPLE = """example:
  tacho up
  tacho up --config tachograph.yaml --listen 127.0.0.1:8080
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_serving(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Serve; 0 after a clean stop."""
    from proxy.cli.serving import serve

    return serve("up", arguments)
