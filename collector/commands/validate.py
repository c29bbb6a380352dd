"""`spanhouse validate -c FILE`."""

from __future__ import annotations

import argparse
import sys

from collector.commands.configuration import configuration


def execute(arguments: argparse.Namespace) -> int:
    """Say that the file is valid; problems end the command as a UserError with all of them."""
    configuration(arguments.config)
    sys.stdout.write(f"{arguments.config} is valid\n")
    return 0
