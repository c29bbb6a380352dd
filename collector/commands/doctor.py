"""`spanhouse doctor -c FILE`: whether the daemon could run here, one line a question, and what to do where it could not."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from collector.cli import FAILED, OK, UserError
from collector.commands.configuration import configuration
from collector.doctor.access import access
from collector.doctor.finding import Finding
from collector.doctor.machine import addresses, embedded_database, journal, kernels, strategies
from collector.doctor.peers import peers
from collector.doctor.store import store


def execute(arguments: argparse.Namespace) -> int:
    """Print the findings as they come; the exit status is 1 when one of them is `fail`."""
    return asyncio.run(_examine(arguments.config))


async def _examine(path: Path) -> int:
    failed = False
    async for finding in _findings(path):
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()
        failed = failed or finding.verdict == "fail"
    return FAILED if failed else OK


async def _findings(path: Path) -> AsyncIterator[Finding]:
    try:
        config = configuration(path)
    except UserError as error:
        yield Finding("fail", "configuration", str(error))
        return
    yield Finding("ok", "configuration", f"{path} is valid")
    yield kernels()
    for finding in (*addresses(config), *access(config), *strategies(config), journal(config)):
        yield finding
    for name, exporter in config.stores.items():
        if exporter.is_embedded:
            for finding in embedded_database(exporter):
                yield finding
        async for finding in store(name, exporter):
            yield finding
    async for finding in peers(config):
        yield finding
