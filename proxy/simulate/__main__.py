"""`python -m proxy.simulate`; the command itself is in `command.py`."""

import sys

from proxy.simulate.command import main

if __name__ == "__main__":
    sys.exit(main())
