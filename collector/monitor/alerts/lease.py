"""Which of several collectors does what needs to be done once: whoever holds the lease, for as long as it renews it.

A lease is a series of claims, the rows of `otel_alert_claims` with its name. Claim n + 1 is written as an entry of the log of
alerts is: of several collectors that try, the first one's counts. Who holds the last claim holds the lease. Who wants it watches
that claim, and makes the next one when it was released, or when it has not been followed by another one for longer than a holder
may take to renew it, by the watcher's own clock: no two clocks are compared.

A holder that cannot renew stops acting before others may take over. If it is suspended meanwhile, it may act a moment longer than
it should when it wakes; what must not happen twice is guarded by the log itself, and by keys that receivers know.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from collector.monitor.alerts.log import INSERT_SETTINGS
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings, instant

RENEW_S: Final = 10.0
"""A holder makes the next claim after so long."""
VALID_S: Final = 30.0
"""Others take over when there was none for so long."""
_STOP_S: Final = 20.0
"""A holder that could not make one for so long stops acting."""
_WATCH_S: Final = 2.0
"""Others look so often."""
_TIMEOUT_S: Final = 5.0
_DAY_NS: Final = 86_400 * 10**9


class Lease:
    """One lease, as one collector sees it.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        schema: where the tables are.
        name: of the lease.
        monotonic: seconds that never go back.
        now: nanoseconds since 1970, for what is shown.

    Attributes:
        holder: by what this collector is known.
    """

    def __init__(
        self,
        client: ClickHouseClient,
        schema: SchemaSettings,
        name: str,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._client = client
        self._table = schema.table_of("otel_alert_claims")
        self._name = name
        self._monotonic = monotonic
        self._now = now
        self.holder = uuid.uuid4()
        self._number = 0
        self._seen_s = 0.0
        self._asked_s: float | None = None
        self._claimed_s: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether this collector may act now."""
        return self._claimed_s is not None and self._monotonic() - self._claimed_s < _STOP_S

    @property
    def is_due(self) -> bool:
        """Whether it is time to make the next claim, or to look whether one can be made."""
        last_s = self._asked_s if self._claimed_s is None else self._claimed_s
        return last_s is None or self._monotonic() - last_s >= (_WATCH_S if self._claimed_s is None else RENEW_S)

    async def claim(self) -> bool:
        """Take the lease, or keep it, if nobody else has it; say whether this collector has it now.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client; who had it, has it until it runs out.
        """
        asked_s = self._asked_s = self._monotonic()
        number, holder, is_released = await self._last()
        if number != self._number:
            self._number, self._seen_s = number, asked_s
        is_ours = holder == self.holder and not is_released
        if not is_ours and number and not is_released and asked_s - self._seen_s < VALID_S:
            self._claimed_s = None
            return False
        if not await self._write(number + 1, is_released=False):
            self._claimed_s = None
            return False
        self._number, self._seen_s, self._claimed_s = number + 1, asked_s, asked_s
        return True

    async def release(self) -> None:
        """Let others have it at once, if this collector has it. Raises as `claim`."""
        if self._claimed_s is None:
            return
        self._claimed_s = None
        await self._write(self._number + 1, is_released=True)

    async def _last(self) -> tuple[int, uuid.UUID | None, bool]:
        sql = (
            f"SELECT Number, Holder, Done FROM {self._table} WHERE Subject = {{subject:String}}"  # noqa: S608 - values are bound
            " ORDER BY Number DESC, WriteId LIMIT 1"
        )
        row = next(iter(await self._query(sql, {"subject": self._name})), None)
        return (0, None, False) if row is None else (row["Number"], uuid.UUID(row["Holder"]), row["Done"])

    async def _write(self, number: int, *, is_released: bool) -> bool:
        """Make a claim; say whether it is ours that counts."""
        at, write_id = self._now(), uuid.uuid4()
        row = {
            "Subject": self._name,
            "Number": number,
            "At": instant(at),
            "Done": is_released,
            "Holder": str(self.holder),
            "WriteId": str(write_id),
        }
        # Claims are forgotten after a month, and then counted from 1 again: tokens of old must not be taken for these.
        settings = {**INSERT_SETTINGS, "insert_deduplication_token": f"{self._name}-{number}-{at // _DAY_NS}"}
        await self._client.insert(
            f"INSERT INTO {self._table} FORMAT JSONEachRow", orjson.dumps(row), settings=settings, timeout_s=_TIMEOUT_S
        )
        sql = (
            f"SELECT WriteId FROM {self._table} WHERE Subject = {{subject:String}} AND Number = {{number:UInt64}}"  # noqa: S608 - values are bound
            " ORDER BY WriteId LIMIT 1"
        )
        stored = next(iter(await self._query(sql, {"subject": self._name, "number": number})), None)
        # A replica that does not know the claim yet will when it is asked again.
        return stored is not None and uuid.UUID(stored["WriteId"]) == write_id

    async def _query(self, sql: str, parameters: dict[str, object]) -> Iterable[dict[str, Any]]:
        return (await self._client.query(sql, parameters, timeout_s=_TIMEOUT_S)).rows()
