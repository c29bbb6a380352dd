"""`spanhouse version`."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import metadata
from typing import Final

from collector.cli import OK, spanhouse_version

_PARTS: Final = ("grpcio", "aiohttp", "numba", "numpy", "chdb-core", "opentelemetry-proto")


def execute(_: argparse.Namespace) -> int:
    """Print what a report of a fault should contain."""
    lines = [f"spanhouse {spanhouse_version()}", f"python {platform.python_version()} on {platform.platform()}"]
    for part in _PARTS:
        try:
            lines.append(f"{part} {metadata.version(part)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{part} is not installed")
    sys.stdout.write("\n".join(lines) + "\n")
    return OK
