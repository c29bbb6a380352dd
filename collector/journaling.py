"""The journal that a configuration names, if it names one."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import structlog

from collector.clock import Clock
from collector.journal.journal import Journal
from collector.journal.settings import JournalSettings
from collector.telemetry import Telemetry
from config.journal import JournalExtension
from config.model import Config

_log = structlog.get_logger(__name__)


def journal_settings(config: Config) -> JournalSettings | None:
    """How the journal is kept; None where spans wait in memory."""
    for name in config.service.extensions:
        configured = config.extensions[name]
        if isinstance(configured, JournalExtension):
            return JournalSettings(
                directory=Path(configured.directory),
                sync=configured.sync,
                sync_interval_s=configured.sync_interval.seconds,
                max_bytes=configured.max_bytes,
                segment_bytes=configured.segment_bytes,
                memory_bytes=configured.memory_bytes,
                max_age_s=configured.max_age.seconds,
                on_full=configured.on_full,
                key=f"extensions.{name}.directory",
            )
    return None


def open_journal(config: Config, executor: Executor, telemetry: Telemetry, clock: Clock) -> Journal | None:
    """The journal of a configuration, to be entered (`async with`); None where spans wait in memory, which the log then says.

    Raises:
        JournalError: the directory cannot be used, or another process uses it.
    """
    settings = journal_settings(config)
    if settings is None:
        _log.warning(
            "no_journal",
            consequence="acknowledged spans wait in memory, and those not yet stored are lost if the process is killed or the "
            "machine fails",
            remedy="add a journal extension and name it in service.extensions",
        )
        return None
    return Journal(settings, config.service.pipelines.traces.exporters, executor, telemetry, clock)
