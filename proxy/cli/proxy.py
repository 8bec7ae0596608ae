"""`tacho proxy`: runs the data path alone, until SIGTERM or Ctrl-C."""

import argparse

from proxy.cli.options import add_serving

EXAMPLE = """example:
  tacho proxy --config /etc/tachograph.yaml
  tacho proxy --data-dir /var/lib/tacho        (and there: tacho export --admin-listen 127.0.0.1:4144)
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_serving(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Serve; 0 after a clean stop."""
    from proxy.cli.serving import serve

    return serve("proxy", arguments)
