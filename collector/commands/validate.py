"""`spanhouse validate -c FILE`."""

from __future__ import annotations

import argparse
import os
import sys

from collector.cli import OK
from collector.commands.configuration import configuration
from config.advice import advise
from config.document import read_document
from config.problems import render_problem


def execute(arguments: argparse.Namespace) -> int:
    """Say that the file is valid, and what is hardly meant in it; problems end the command as a UserError with all of them."""
    config = configuration(arguments.config)
    advice = advise(config, read_document(arguments.config.read_bytes(), os.environ))
    sys.stdout.write(f"{arguments.config} is valid\n")
    sys.stdout.writelines(f"{render_problem(each, str(arguments.config))} (advice)\n" for each in advice)
    return OK
