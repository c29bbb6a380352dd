"""`python -m collector` is `spanhouse`, and `spanhouse` is this."""

from __future__ import annotations

import signal
import sys

# Until the command is loaded Ctrl-C just ends the process: an exception amid imports would be shown with its traceback, or lost.
# Who has started us may have had it ignored.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from collector.cli import main

if __name__ == "__main__":
    sys.exit(main())
