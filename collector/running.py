"""The configuration that runs, and how another one takes its place without a restart.

What can change while spans pass is what happens to them: the processors and their order. Everything else takes effect at the next
start, and whoever asks is told so. A file with a mistake changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from collector.reloading import Fingerprint, fingerprint
from config.model import Config
from config.problems import ConfigError, KeyPath, key_path
from config.service_policy import ServicePolicyProcessor

_log = structlog.get_logger(__name__)

_ORDER: Final = ("service", "pipelines", "traces", "processors")


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of a configuration that was read again.

    Attributes:
        applied: keys that have changed, and are in force.
        at_restart: keys that have changed, and take effect at the next start.
    """

    applied: tuple[str, ...] = ()
    at_restart: tuple[str, ...] = ()


class ConfigFile(NamedTuple):
    """Where a configuration comes from: its file, what reads it in a thread and raises ConfigError, and the file's `fingerprint`
    from before it was read first.
    """

    path: Path
    read: Callable[[], Config]
    seen: Fingerprint | None


class RunningConfig:
    """Belongs to one event loop.

    Args:
        config: what runs.
        file: where it comes from.
        apply: puts another configuration in force, of which only what may change differs.

    Attributes:
        config: what runs.
        reloads: how often a configuration was read again and found in order.
        failures: how often one was found wrong.
    """

    def __init__(self, config: Config, file: ConfigFile, apply: Callable[[Config], None]) -> None:
        self.config = config
        self.reloads = 0
        self.failures = 0
        self._file = file
        self._apply = apply
        self._turn = asyncio.Lock()
        self._asked = asyncio.Event()
        self._seen = file.seen

    def ask(self) -> None:
        """Have the configuration read again soon."""
        self._asked.set()

    async def follow(self, interval_s: float) -> None:
        """Read the configuration again whenever that is asked for or the file has changed, until cancelled.

        Args:
            interval_s: how often the file is looked at, in seconds; 0 never looks.
        """
        file = self._file.path
        while True:
            try:
                async with asyncio.timeout(interval_s or None):
                    await self._asked.wait()
            except TimeoutError:
                # A file that is gone may be about to be replaced.
                if fingerprint(file) in (self._seen, None):
                    continue
            self._asked.clear()
            try:
                await self.reload()
            except ConfigError:
                # Told of in the log; the next change is another chance.
                continue
            except Exception:  # noqa: BLE001 - whatever it is, spans must be stored meanwhile
                _log.exception("config_not_reloaded", consequence="the configuration before it stays in force")

    async def reload(self) -> Reloaded:
        """Read the configuration again and put in force what may change.

        Raises:
            ConfigError: it is wrong; what ran goes on.
        """
        async with self._turn:
            # Before reading: a change in between is then seen at the next look.
            self._seen = fingerprint(self._file.path)
            try:
                wanted = await asyncio.to_thread(self._file.read)
                config, reloaded = merged(self.config, wanted)
                if reloaded.applied:
                    self._apply(config)
            except ConfigError as error:
                self.failures += 1
                _log.error("config_not_reloaded", problems=str(error), consequence="the configuration before it stays in force")
                raise
            self.config = config
            self.reloads += 1
            _log.info("config_reloaded", applied=list(reloaded.applied))
            if reloaded.at_restart:
                _log.warning("restart_needed", changed=list(reloaded.at_restart), note="these take effect at the next start")
            return reloaded


def merged(running: Config, wanted: Config) -> tuple[Config, Reloaded]:
    """What can run at once of a configuration, and what is new about it."""
    changed = list(_differences((), running.model_dump(), wanted.model_dump()))
    live = [path for path in changed if path[0] == "processors" or path == _ORDER]
    if not running.stores and _asks_the_store(wanted):
        # Half of a change may be worse than none.
        live = []
    reloaded = Reloaded(tuple(key_path(path) for path in live), tuple(key_path(path) for path in changed if path not in live))
    if not live:
        return running, reloaded
    traces = running.service.pipelines.traces.model_copy(update={"processors": wanted.service.pipelines.traces.processors})
    service = running.service.model_copy(update={"pipelines": running.service.pipelines.model_copy(update={"traces": traces})})
    return running.model_copy(update={"processors": wanted.processors, "service": service}), reloaded


def _asks_the_store(config: Config) -> bool:
    names = config.service.pipelines.traces.processors
    return any(isinstance(config.processors[name], ServicePolicyProcessor) for name in names)


def _differences(path: KeyPath, old: Any, new: Any) -> Iterator[KeyPath]:
    """The paths of the values that differ, and of those that only one of the two has."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        if old != new:
            yield path
        return
    for key in dict.fromkeys((*old, *new)):
        if key in old and key in new:
            yield from _differences((*path, key), old[key], new[key])
        else:
            yield (*path, key)
