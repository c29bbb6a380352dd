"""Latencies by service: count, mean and exact percentiles over the spans of a time range.

A percentile is interpolated linearly between the two nearest ranks, exactly as NumPy's default. ClickHouse sorts and gives the
two neighbours, because its own interpolation rounds the rank differently and is off in the last digit now and then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from collector.query.store import DURATION, ERROR, STATUS_CODES, SpanStore, Statement, time_range

PERCENTILES: Final = (50, 95, 99)

# Receiver contract DATA-24. Attributes are left out, unlike where a trace is read: reading them costs more than all the rest, and
# two spans that agree to the nanosecond in everything else are the same to a latency anyway.
_IDENTITY: Final = "cityHash64(TraceId, SpanId, SpanKind, ServiceName, Timestamp, Duration, SpanName)"


@dataclass(frozen=True, slots=True)
class Latencies:
    """Durations of the spans of one service, in nanoseconds.

    Attributes:
        percentiles: for each of `PERCENTILES`.
    """

    service: str
    count: int
    error_count: int
    minimum: int
    maximum: int
    mean: float
    percentiles: tuple[float, ...]


def latencies_statement(
    store: SpanStore,
    *,
    start: int,
    end: int,
    service: str | None,
    operation: str | None,
    kind: str | None,
    after: str | None,
    limit: int,
    workspace: str,
) -> Statement:
    """One row per service, in order of names after `after`: count, sum and, for each percentile, its two neighbours."""
    condition, parameters = time_range(start, end)
    conditions = ["Workspace = {workspace:String}", condition]
    parameters |= {"workspace": workspace, "limit": limit, "quantiles": [percent / 100 for percent in PERCENTILES]}
    for column, name, value in (
        ("ServiceName =", "service", service),
        ("SpanName =", "operation", operation),
        ("SpanKind =", "kind", kind),
        ("ServiceName >", "after", after),
    ):
        if value is not None:
            conditions.append(f"{column} {{{name}:String}}")
            parameters[name] = value
    return Statement(
        f"""
        SELECT ServiceName, length(durations) AS Count, countIf(StatusCode = '{STATUS_CODES[ERROR]}') AS Errors,
            arraySort(groupArray(Duration)) AS durations, durations[1] AS Minimum, durations[-1] AS Maximum,
            sum(toUInt128(Duration)) AS Total,
            arrayMap(q -> toUInt64(floor((Count - 1) * q)) + 1, {{quantiles:Array(Float64)}}) AS ranks,
            arrayMap(rank -> (durations[rank], durations[least(rank + 1, Count)]), ranks) AS Neighbours
        FROM
        (
            SELECT ServiceName, StatusCode, {DURATION} AS Duration FROM {store.spans_table} WHERE {" AND ".join(conditions)}
            LIMIT 1 BY {_IDENTITY}
        )
        GROUP BY ServiceName ORDER BY ServiceName LIMIT {{limit:UInt64}}""",  # noqa: S608 - the name is checked, values are bound
        parameters,
    )


async def find_latencies(
    store: SpanStore,
    *,
    start: int,
    end: int,
    service: str | None = None,
    operation: str | None = None,
    kind: str | None = None,
    after: str | None = None,
    limit: int = 100,
    workspace: str,
) -> list[Latencies]:
    """Latencies of each service with a span that starts in [start, end), nanoseconds, and fits the filters.

    Args:
        after: only services whose name is greater, to go on after a page.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    statement = latencies_statement(
        store,
        start=start,
        end=end,
        service=service,
        operation=operation,
        kind=kind,
        after=after,
        limit=limit,
        workspace=workspace,
    )
    result = await store.fetch(statement)
    return [
        Latencies(
            service=row["ServiceName"],
            count=row["Count"],
            error_count=row["Errors"],
            minimum=row["Minimum"],
            maximum=row["Maximum"],
            mean=int(row["Total"]) / row["Count"],
            percentiles=tuple(
                interpolate(low, high, row["Count"], percent / 100)
                for percent, (low, high) in zip(PERCENTILES, row["Neighbours"], strict=True)
            ),
        )
        for row in result.rows()
    ]


def interpolate(low: int, high: int, count: int, quantile: float) -> float:
    """The quantile of `count` sorted values of which `low` and `high` stand at the ranks around it.

    The steps, and with them the rounding, are those of `numpy.percentile`'s linear method.
    """
    rank = (count - 1) * quantile
    weight = rank - math.floor(rank)
    difference = high - low
    return high - difference * (1 - weight) if weight >= 0.5 else low + difference * weight
