"""What the tracing configs say at the moment, on a collector that does not ask the store for each span."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

import structlog

from collector.control.config_store import ConfigStore
from collector.control.policies import Policies
from collector.control.trouble import Trouble, lacks_tables
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable

_log = structlog.get_logger(__name__)


class PolicyFeed:
    """Follows the tracing configs of all workspaces.

    While the store is away, what was read last stays in force.

    Args:
        store: where they are.
        interval_s: see below.
        monotonic: seconds of a clock that never goes back.
        failed: called with the reason of each look that failed.

    Attributes:
        interval_s: seconds between two looks at them; may change.
    """

    def __init__(
        self,
        store: ConfigStore,
        interval_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self.interval_s = interval_s
        self._monotonic = monotonic
        self._trouble = Trouble("tracing_configs", failed)
        self._looking = asyncio.Lock()
        self._state: tuple[int, int] | None = None
        self._confirmed_s = monotonic()
        self._looked_s = -math.inf
        self._policies = Policies()
        self.configs = 0
        """How many configs these are made of."""
        self.known = asyncio.Event()
        """Whether the store has said which configs there are, or that there is no table of them."""

    @property
    def age_s(self) -> float:
        """Seconds since the store last said which configs there are, or since the start."""
        return self._monotonic() - self._confirmed_s

    def current(self) -> Policies:
        """The policies as they were read last. Any thread may ask."""
        return self._policies

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the configs have to be followed
                self._trouble.tell(error)
            await asyncio.sleep(self.interval_s)

    async def fresh(self) -> Policies | None:
        """The policies, looked at within the last interval; None where the store has never said which there are."""
        async with self._looking:
            if self._monotonic() - self._looked_s >= self.interval_s:
                await self._look()
        return self._policies if self.known.is_set() else None

    async def look(self) -> None:
        """Read the configs, if any of them has changed. What is wrong with the store is counted and told in the log."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        self._looked_s = self._monotonic()
        try:
            state = await self._store.state()
            if state != self._state:
                configs = await self._store.all()
                self._policies, self.configs, self._state = Policies(configs), len(configs), state
                _log.info("tracing_configs_read", configs=len(configs))
        except (ClickHouseError, ClickHouseUnavailable) as error:
            if lacks_tables(error) and not self.known.is_set():
                # So nothing is said of any service.
                self.known.set()
            else:
                self._trouble.tell(error)
        else:
            self._confirmed_s = self._monotonic()
            self._trouble.over()
            self.known.set()
