"""What the commands with `-c FILE` share: the configuration, or a list of what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

from collector.cli import UserError
from config.load import load
from config.model import Config
from config.problems import ConfigError, render_problems


def configuration(path: Path) -> Config:
    """The configuration at `path`.

    Raises:
        UserError: with a line for each problem.
    """
    try:
        return load(path, os.environ)
    except ConfigError as error:
        count = len(error.problems)
        what = "a problem" if count == 1 else f"{count} problems"
        raise UserError(f"{path} has {what}\n{render_problems(error)}") from error
