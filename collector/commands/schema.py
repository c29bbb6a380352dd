"""`spanhouse schema -c FILE`: the SQL that makes the tables, for those who make them by hand."""

from __future__ import annotations

import argparse
import sys

from collector.cli import OK
from collector.commands.configuration import configuration
from collector.pipeline.registry import schema_settings
from exporters.clickhouse.schema import statements


def execute(arguments: argparse.Namespace) -> int:
    """Print the statements of every exporter of the pipeline, ready for `clickhouse-client --multiquery`."""
    config = configuration(arguments.config)
    for exporter in config.stores.values():
        for statement in statements(schema_settings(exporter)):
            sys.stdout.write(f"{statement};\n\n")
    return OK
