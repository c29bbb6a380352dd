"""Lets halves of calls meet in the store: once for each minute in which they came there, when nothing more comes in it.

What belongs to a minute is the same for whoever asks (`collector/query/halves.py`), and is inserted under the minute's own token.
So it is stored once, however often that is tried, and by however many collectors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from collector.query.halves import CATCH_UP_S, COLUMNS, calls_of_halves
from exporters.base import ExportError
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.schema import SchemaSettings

_log: Final = structlog.get_logger(__name__)

INTERVAL_S: Final = 10.0
"""So often is looked whether a minute is over."""
_GRACE_S: Final = 60
"""So long after its end is nothing more expected to come in a minute: an insert takes the time when it begins."""
_TIMEOUT_S: Final = 120.0
_ONE_BLOCK: Final = {
    "insert_deduplicate": 1,
    # A token stands for one block.
    "max_threads": 1,
    "max_insert_threads": 1,
    "max_block_size": 1 << 24,
    "min_insert_block_size_rows": 1 << 32,
    "min_insert_block_size_bytes": 1 << 40,
}


class Settling:
    """Settles the calls in the tables of one exporter.

    Args:
        make_ready: makes its tables, where that is to be done; raises ExportError.
        client: connections to its servers.
        schema: its tables.

    Attributes:
        wanted: whether there may be anything to settle; nothing is asked of the store before.
    """

    def __init__(self, make_ready: Callable[[], Awaitable[None]], client: ClickHouseClient, schema: SchemaSettings) -> None:
        self._make_ready = make_ready
        self._client = client
        self._halves = schema.table_of("otel_topology_halves")
        self._settled = schema.table_of("otel_topology_settled")
        self.wanted = asyncio.Event()
        self._is_troubled = False
        self._next: int | None = None

    async def run(self) -> None:
        """Settle minute after minute, until it is cancelled. What cannot be done now is tried again."""
        await self.wanted.wait()
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await self._make_ready()
                await self.settle()
            except Exception as error:  # noqa: BLE001 - whatever it is, spans must be stored meanwhile
                # Once for as long as it lasts.
                if not self._is_troubled:
                    is_known = isinstance(error, ExportError | ClickHouseError | ClickHouseUnavailable)
                    _log.warning("calls_not_settled_yet", error=str(error), exc_info=not is_known)
                self._is_troubled = True
            else:
                self._is_troubled = False

    async def settle(self) -> None:
        """Settle what belongs to the minutes that are over and are not settled yet, oldest first.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.command`; nothing is lost.
        """
        answer = await self._client.query(
            f"SELECT toUnixTimestamp(now()) AS now, toUnixTimestamp(max(ArrivalMinute)) AS settled,"  # noqa: S608 - quoted
            f" (SELECT toUnixTimestamp(min(Arrived)) FROM {self._halves}) AS began FROM {self._settled}"
            # What was settled by a clock that has been set back since does not say how far this is.
            " WHERE ArrivalMinute <= now()"
        )
        # Of no rows there is no maximum where the server is set so.
        now, settled, began = (int(answer.columns[name][0] or 0) for name in ("now", "settled", "began"))
        if not began:
            return
        # Minutes are settled one after the other, so what was settled by another collector need not be tried; but for the last
        # one, of whose calls the view by the hour may not know yet.
        tried = 0 if self._next is None or self._next > now else self._next
        first = max((now - CATCH_UP_S) // 60 * 60, began // 60 * 60, settled, tried)
        for minute in range(first, (now - _GRACE_S) // 60 * 60, 60):
            await self._settle(minute)
            self._next = minute + 60

    async def _settle(self, minute: int) -> None:
        calls = calls_of_halves(self._halves, f"toDateTime({minute})", f"toDateTime({minute + 60})")
        await self._client.command(
            f"INSERT INTO {self._settled} ({', '.join(COLUMNS)}){calls}",
            settings={
                **_ONE_BLOCK,
                "insert_deduplication_token": f"minute-{minute}",
                "deduplicate_blocks_in_dependent_materialized_views": 1,
            },
            timeout_s=_TIMEOUT_S,
        )
