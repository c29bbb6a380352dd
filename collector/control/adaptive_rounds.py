"""Adaptive sampling among collectors that share a store: each reckons a round when its time has come, and the first one's counts.

What came is in `otel_sampling_throughput`, from all collectors. A round's decisions are one insert into
`otel_sampling_probabilities` whose token is the round, so of several collectors' the first is stored, and all read it back. No
leader is needed, and a collector that joins finds what was decided.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from collector.control.adaptive import Chosen, Operation, by_operation, next_round
from collector.control.strategy_file import Strategy, probabilistic
from collector.control.trouble import Trouble, lacks_tables
from config.remote_sampling import AdaptiveSampling
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings

_LOOK_S: Final = 5.0
_MOST_OPERATIONS: Final = 10_000
_TIMEOUT_S: Final = 20.0


class AdaptiveRounds:
    """Follows the rounds.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        schema: where the tables are.
        settings: what is wanted.
        now: nanoseconds since 1970.
        failed: called with the reason of each look that failed.
    """

    def __init__(
        self,
        client: ClickHouseClient,
        schema: SchemaSettings,
        settings: AdaptiveSampling,
        now: Callable[[], int] = time.time_ns,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._throughput = schema.table_of("otel_sampling_throughput")
        self._probabilities = schema.table_of("otel_sampling_probabilities")
        self._settings = settings
        self._interval_s = int(settings.calculation_interval.seconds)
        self._now = now
        self._trouble = Trouble("sampling_probabilities", failed)
        self._round: int | None = None
        self._by_service: dict[tuple[str, str], dict[str, float]] = {}

    def strategy(self, workspace: str, service: str) -> Strategy:
        """What a service is told: a probability for each of its operations that is known, and one for all others."""
        initial = self._settings.initial_sampling_probability
        operations = self._by_service.get((workspace, service), {})
        return {
            **probabilistic(initial),
            "operationSampling": {
                "defaultSamplingProbability": initial,
                "defaultLowerBoundTracesPerSecond": self._settings.min_samples_per_second,
                "defaultUpperBoundTracesPerSecond": 0,
                "perOperationStrategies": [
                    {"operation": name, "probabilisticSampling": {"samplingRate": rate}} for name, rate in operations.items()
                ],
            },
        }

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        is_first = True
        while True:
            try:
                await self.look()
                self._trouble.over()
            except Exception as error:  # noqa: BLE001 - whatever it is, the rounds have to be followed
                if not (is_first and lacks_tables(error)):
                    self._trouble.tell(error)
            is_first = False
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Take part in the latest round, if that was not done.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client; the next look tries again.
        """
        latest = (self._now() - self._settings.calculation_delay) // self._settings.calculation_interval
        if latest == self._round:
            return
        decided = await self._decided(latest)
        if not decided:
            seen = by_operation(await self._seen(latest))
            if seen:
                before = await self._decided(await self._round_before(latest))
                await self._decide(latest, next_round(before, seen, latest - 1, self._interval_s, self._settings))
                decided = await self._decided(latest)
                if not decided:
                    return  # a replica that does not know it yet; the next look will find it
        by_service: dict[tuple[str, str], dict[str, float]] = {}
        for operation, chosen in decided.items():
            by_service.setdefault((operation.workspace, operation.service), {})[operation.name] = chosen.probability
        self._by_service, self._round = by_service, latest

    async def _round_before(self, latest: int) -> int:
        sql = f"SELECT toUnixTimestamp(max(Round)) AS last FROM {self._probabilities} WHERE Round < {{round:UInt32}}"  # noqa: S608
        rows = await self._query(sql, {"round": latest * self._interval_s})
        return int(rows[0]["last"]) // self._interval_s

    async def _decided(self, number: int) -> dict[Operation, Chosen]:
        """What was decided in a round; nothing where there was none."""
        rows = await self._query(
            f"""
            SELECT Workspace, ServiceName, SpanName, Probability, Obeyed FROM {self._probabilities}
            WHERE Round = {{round:UInt32}} ORDER BY Workspace, ServiceName, SpanName""",  # noqa: S608 - values are bound
            {"round": number * self._interval_s},
        )
        return {
            Operation(row["Workspace"], row["ServiceName"], row["SpanName"]): Chosen(float(row["Probability"]), row["Obeyed"])
            for row in rows
        }

    async def _seen(self, latest: int) -> list[tuple[Operation, int, float, str]]:
        """Operation, interval, traces, and the probability that clients tell; of the operations with the most traces."""
        rows = await self._query(
            f"""
            WITH recent AS (
                SELECT * FROM {self._throughput} WHERE Bucket >= {{start:UInt32}} AND Bucket < {{end:UInt32}}
            )
            SELECT Workspace, ServiceName, SpanName, intDiv(toUnixTimestamp(Bucket), {{interval:UInt32}}) AS Interval,
                Probability, sum(Traces) AS Sum
            FROM recent
            WHERE (Workspace, ServiceName, SpanName) IN (
                SELECT Workspace, ServiceName, SpanName FROM recent
                GROUP BY Workspace, ServiceName, SpanName ORDER BY sum(Traces) DESC LIMIT {{most:UInt32}}
            )
            GROUP BY Workspace, ServiceName, SpanName, Interval, Probability""",  # noqa: S608 - values are bound
            {
                "start": (latest - self._settings.aggregation_buckets) * self._interval_s,
                "end": latest * self._interval_s,
                "interval": self._interval_s,
                "most": _MOST_OPERATIONS,
            },
        )
        return [
            (
                Operation(row["Workspace"], row["ServiceName"], row["SpanName"]),
                row["Interval"],
                float(row["Sum"]),
                row["Probability"],
            )
            for row in rows
        ]

    async def _decide(self, latest: int, chosen: Mapping[Operation, Chosen]) -> None:
        """Store a round, unless it is stored."""
        rows = [
            {
                "Workspace": operation.workspace,
                "ServiceName": operation.service,
                "SpanName": operation.name,
                "Round": latest * self._interval_s,
                "Probability": each.probability,
                "Obeyed": each.obeyed,
            }
            for operation, each in chosen.items()
        ]
        await self._client.insert(
            f"INSERT INTO {self._probabilities} FORMAT JSONEachRow",
            b"\n".join(map(orjson.dumps, rows)),
            settings={
                "insert_deduplicate": 1,
                "async_insert": 0,
                "insert_deduplication_token": f"round-{latest * self._interval_s}",
                # A block that the server cut would be remembered by its pieces.
                "max_insert_block_size": max(len(rows), 1 << 20),
            },
            timeout_s=_TIMEOUT_S,
        )

    async def _query(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        return list((await self._client.query(sql, parameters, timeout_s=_TIMEOUT_S)).rows())
