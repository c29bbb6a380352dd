"""What the tracing configs say at the moment, on a collector that does not ask the store for each span."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from collector.control.config_store import ConfigStore
from collector.control.policies import Policies
from collector.spaced_log import SpacedLog
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.errors import ACCESS_DENIED, UNKNOWN_DATABASE, UNKNOWN_TABLE, export_error

_log: Final = structlog.get_logger(__name__)

_NO_TABLE: Final = frozenset({UNKNOWN_TABLE, UNKNOWN_DATABASE, ACCESS_DENIED})


class PolicyFeed:
    """Follows the tracing configs of all workspaces.

    While the store is away, what was read last stays in force.

    Args:
        store: where they are.
        interval_s: seconds between two looks at them.
        monotonic: seconds of a clock that never goes back.
        failed: called with the reason of each look that failed.
    """

    def __init__(
        self,
        store: ConfigStore,
        interval_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._failed = failed
        self._failures = SpacedLog(_log, monotonic)
        self._looking = asyncio.Lock()
        self._state: tuple[int, int] | None = None
        self._confirmed_s = monotonic()
        self.policies = Policies()
        """As they were read last. Any thread may ask."""
        self.configs = 0
        """How many configs these are made of."""
        self.known = asyncio.Event()
        """Whether the store has said which configs there are, or that there is no table of them."""

    @property
    def age_s(self) -> float:
        """Seconds since the store last said which configs there are, or since the start."""
        return self._monotonic() - self._confirmed_s

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the configs have to be followed
                self._failed("internal_error")
                self._failures.unexpected("tracing_configs_not_read", error)
            await asyncio.sleep(self._interval_s)

    async def fresh(self) -> Policies:
        """The policies, not older than the interval unless the store is away."""
        async with self._looking:
            if self._state is None or self.age_s >= self._interval_s:
                await self._look()
        return self.policies

    async def look(self) -> None:
        """Read the configs, if any of them has changed. What is wrong with the store is counted and told in the log."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        try:
            state = await self._store.state()
            if state != self._state:
                configs = await self._store.all()
                self.policies, self.configs, self._state = Policies(configs), len(configs), state
                _log.info("tracing_configs_read", configs=len(configs))
        except (ClickHouseError, ClickHouseUnavailable) as error:
            reason = export_error(error).reason
            self._failed(reason)
            self._failures.warning("tracing_configs_not_read", reason, error=str(error), age_s=round(self.age_s))
            if not (isinstance(error, ClickHouseError) and error.code in _NO_TABLE):
                return
        else:
            self._confirmed_s = self._monotonic()
        self.known.set()
