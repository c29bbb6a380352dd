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

RENEW_S: Final = 3.0
"""A holder makes the next claim after so long."""
VALID_S: Final = 10.0
"""Others take over when there was none for so long."""
STOP_S: Final = 8.0
"""A holder that could not make one for so long stops acting."""
_WATCH_S: Final = 1.0
"""Others look so often."""
_TIMEOUT_S: Final = 4.0
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
        progress: how far whoever holds it has come with what needs to be done, nanoseconds since 1970; 0 where nobody ever has.
            The holder sets it, and its next claim tells others.
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
        self.progress = 0
        self._number = 0
        self._seen_s = 0.0
        self._asked_s: float | None = None
        self._claimed_s: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether this collector may act now."""
        return self._claimed_s is not None and self._monotonic() - self._claimed_s < STOP_S

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
        if not self.is_held and not await self._is_free(asked_s):
            self._claimed_s = None
            return False
        # Who holds it need not look before: if somebody else has made the next claim, it is not ours that is read back.
        if not await self._write(self._number + 1, is_released=False):
            self._claimed_s = None
            return False
        self._number, self._seen_s, self._claimed_s = self._number + 1, asked_s, asked_s
        return True

    async def _is_free(self, now_s: float) -> bool:
        """Whether this collector may take the lease."""
        number, holder, is_released, progress = await self._last()
        if number != self._number:
            self._number, self._seen_s = number, now_s
        self.progress = progress
        return holder == self.holder or is_released or not number or now_s - self._seen_s >= VALID_S

    async def release(self) -> None:
        """Let others have it at once, if this collector has it. Raises as `claim`."""
        if self._claimed_s is None:
            return
        self._claimed_s = None
        await self._write(self._number + 1, is_released=True)

    async def _last(self) -> tuple[int, uuid.UUID | None, bool, int]:
        """Number and holder of the last claim, whether it lets the lease go, and its progress; zeros without any."""
        sql = (
            f"SELECT Number, Holder, Done, Progress FROM {self._table}"  # noqa: S608 - values are bound
            " WHERE Subject = {subject:String} ORDER BY Number DESC, WriteId LIMIT 1"
        )
        row = next(iter(await self._query(sql, {"subject": self._name})), None)
        return (0, None, False, 0) if row is None else (row["Number"], uuid.UUID(row["Holder"]), row["Done"], row["Progress"])

    async def _write(self, number: int, *, is_released: bool) -> bool:
        """Make a claim; say whether it is ours that counts."""
        at = self._now()
        row = {
            "Subject": self._name,
            "Number": number,
            "At": instant(at),
            "Progress": self.progress,
            "Done": is_released,
            "Holder": str(self.holder),
            "WriteId": str(uuid.uuid4()),
        }
        # Claims are forgotten after a month, and then counted from 1 again: tokens of old must not be taken for these.
        settings = {**INSERT_SETTINGS, "insert_deduplication_token": f"{self._name}-{number}-{at // _DAY_NS}"}
        await self._client.insert(
            f"INSERT INTO {self._table} FORMAT JSONEachRow", orjson.dumps(row), settings=settings, timeout_s=_TIMEOUT_S
        )
        sql = (
            f"SELECT Holder FROM {self._table} WHERE Subject = {{subject:String}} AND Number = {{number:UInt64}}"  # noqa: S608 - values are bound
            " ORDER BY WriteId LIMIT 1"
        )
        stored = next(iter(await self._query(sql, {"subject": self._name, "number": number})), None)
        # A replica that does not know the claim yet will when it is asked again; and what was stored although its writer has not
        # heard of it, is the writer's all the same.
        return stored is not None and uuid.UUID(stored["Holder"]) == self.holder

    async def _query(self, sql: str, parameters: dict[str, object]) -> Iterable[dict[str, Any]]:
        return (await self._client.query(sql, parameters, timeout_s=_TIMEOUT_S)).rows()
