"""`tacho export`: runs all that is behind the spool, until SIGTERM or Ctrl-C."""

import argparse

from proxy.cli.options import add_serving

EXAMPLE = """example:
  tacho export --data-dir /var/lib/tacho --admin-listen 127.0.0.1:4144
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_serving(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Serve; 0 after a clean stop."""
    from proxy.cli.serving import serve

    return serve("export", arguments)
