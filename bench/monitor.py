"""Dashboards, latencies and topologies from tables of derived rows, beside the same figures from the spans themselves.

    python bench/monitor.py [--spans N]

Spans of one day are made by ClickHouse, in traces of eight, of 20 services with 30 operations each; those of a quarter of the
traces stand for eight spans each. What is derived of them is made of the stored rows, so both sides tell of the same spans. Of
rollups the fastest of seven answers counts, asked as the API asks; the spans are asked once, in one statement. The figures of
both sides are compared: counts and means must be equal, and percentiles within the error that is stated of sketches.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from collector.calls import CONNECTIONS, MESSAGING
from collector.query.dashboard import Compared, DashboardQuery, find_dashboard, find_dashboard_series
from collector.query.red_spans import RedSpans
from collector.query.requests import ENTRY_KINDS, Requests
from collector.query.rollups import HOUR, MINUTE
from collector.query.span_latencies import LatencyQuery, find_span_latencies
from collector.query.store import SpanStore
from collector.query.topology import find_topology
from collector.sketch import MERGE, RELATIVE_ERROR, TYPE, bucket_expression
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from exporters.embedded.accounts import Account
from tests.support.clickhouse import embedded_server

DAY_S: Final = 86_400
START: Final = 1_790_812_800 * 10**9
"""Midnight, nanoseconds since 1970."""
END: Final = START + DAY_S * 10**9
CHUNK: Final = 1_000_000
REPETITIONS: Final = 7
TIMEOUT_S: Final = 600.0
THRESHOLD: Final = 20 * 10**6
WORKSPACE: Final = "default"

# Spans 0 to 7 of a trace, each the parent of the next: servers and their clients, an internal one, a producer and its consumer.
SPANS: Final = """
    INSERT INTO otel_traces
        (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, Duration, StatusCode, AdjustedCount)
    SELECT
        fromUnixTimestamp64Nano({start} + toInt64(Trace) * {gap} + Place * 1000000),
        leftPad(lower(hex(Trace + 1)), 32, '0'),
        leftPad(lower(hex(number + 1)), 16, '0'),
        if(Place = 0, '', leftPad(lower(hex(number)), 16, '0')),
        concat('operation-', toString(cityHash64(number) % 6)),
        ['Server', 'Client', 'Server', 'Client', 'Server', 'Internal', 'Producer', 'Consumer'][Place + 1],
        concat('service-', leftPad(toString((Root + [0, 0, 1, 1, 2, 2, 2, 3][Place + 1] * (1 + Root % 3)) % 20), 2, '0')),
        toUInt64(5e6 * exp(0.8 * sqrt(-2 * log((cityHash64(number, 1) % 1000003 + 1) / 1000003))
            * cos(2 * pi() * (cityHash64(number, 2) % 1000003) / 1000003))),
        if(cityHash64(number, 3) % 50 = 0, 'Error', 'Unset'),
        if(Trace % 4 = 0, 8, 1)
    FROM
    (
        SELECT number, intDiv(number, 8) AS Trace, toUInt8(number % 8) AS Place, cityHash64(Trace) % 20 AS Root
        FROM numbers({first}, {count})
    )"""
RED: Final = f"""
    INSERT INTO otel_red_minute SELECT
        Workspace, ServiceName, Minute, SpanName, SpanKind, StatusCode, '', sum(Weight), sum(Total), min(Least), max(Most),
        CAST(mapFromArrays(groupArray(Bucket), groupArray(Weight)), '{TYPE}')
    FROM
    (
        SELECT Workspace, ServiceName, toStartOfMinute(Timestamp) AS Minute, SpanName, SpanKind, StatusCode,
            {bucket_expression("Duration")} AS Bucket, sum(AdjustedCount) AS Weight, sum(AdjustedCount * Duration) AS Total,
            min(Duration) AS Least, max(Duration) AS Most
        FROM otel_traces WHERE Timestamp >= toDateTime64({{hour}}, 9) AND Timestamp < toDateTime64({{hour}} + 3600, 9)
        GROUP BY ALL
    )
    GROUP BY Workspace, ServiceName, Minute, SpanName, SpanKind, StatusCode"""
# A call is a server or consumer and its parent. Traces do not reach from one hour into the next.
CALLS: Final = """
    SELECT caller.ServiceName AS Client, callee.ServiceName AS Server, callee.Timestamp AS Time,
        if(callee.SpanKind = 'Consumer', '{messaging}', '') AS Connection, callee.AdjustedCount AS Weight,
        caller.StatusCode = 'Error' OR callee.StatusCode = 'Error' AS Failed,
        caller.Duration AS ClientDuration, callee.Duration AS ServerDuration
    FROM (SELECT * FROM otel_traces WHERE SpanKind IN ('Server', 'Consumer') AND ParentSpanId != '' AND {range}) AS callee
    INNER JOIN (SELECT * FROM otel_traces WHERE SpanKind IN ('Client', 'Producer') AND {range}) AS caller
    ON callee.TraceId = caller.TraceId AND callee.ParentSpanId = caller.SpanId"""
TOPOLOGY: Final = f"""
    INSERT INTO otel_topology_minute SELECT '{WORKSPACE}', toStartOfMinute(Time), Client, Server, Connection, '',
        sum(Weight), sumIf(Weight, Failed),
        sum(Weight * ClientDuration), min(ClientDuration), max(ClientDuration),
        {MERGE}(CAST(map({bucket_expression("ClientDuration")}, Weight), '{TYPE}')),
        sum(Weight * ServerDuration), min(ServerDuration), max(ServerDuration),
        {MERGE}(CAST(map({bucket_expression("ServerDuration")}, Weight), '{TYPE}'))
    FROM ({{calls}}) GROUP BY ALL"""

Key = tuple[Any, ...]
Figures = dict[Key, tuple[float, float, float, tuple[float, ...]]]
"""Of each group: how many, how many failed, the mean and the percentiles of their durations."""


def calls(first_s: int, end_s: int) -> str:
    """The calls of some seconds, from the spans."""
    in_range = f"Timestamp >= toDateTime64({first_s}, 9) AND Timestamp < toDateTime64({end_s}, 9)"
    return CALLS.format(messaging=CONNECTIONS[MESSAGING], range=in_range)


async def fill(client: ClickHouseClient, spans: int) -> None:
    """Make the spans, and the rows that are derived of them."""
    gap = DAY_S * 10**9 // (spans // 8)
    for first in range(0, spans, CHUNK):
        count = min(CHUNK, spans - first)
        await client.command(SPANS.format(start=START, gap=gap, first=first, count=count), timeout_s=TIMEOUT_S)
    for hour in range(START // 10**9, END // 10**9, 3600):
        await client.command(RED.format(hour=hour), timeout_s=TIMEOUT_S)
        await client.command(TOPOLOGY.format(calls=calls(hour, hour + 3600)), timeout_s=TIMEOUT_S)
    for table in ("red_minute", "red_quarter_hour", "red_hour", "topology_minute", "topology_hour"):
        await client.command(f"OPTIMIZE TABLE otel_{table} FINAL", timeout_s=TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of both sides.

    Attributes:
        rollups: the figures as the API finds them.
        spans: a SELECT of the same, whose first columns are the keys and whose last are Count, Failed, Mean and Exact.
    """

    name: str
    rollups: Callable[[], Awaitable[Figures]]
    spans: str


def measures(duration: str = "Duration", weight: str = "AdjustedCount", failed: str = "StatusCode = 'Error'") -> str:
    """Columns of figures, from spans or calls."""
    return (
        f"sum({weight}) AS Count, sumIf({weight}, {failed}) AS Failed, sum({weight} * {duration}) / sum({weight}) AS Mean,"
        f" quantilesExactWeighted(0.5, 0.95, 0.99)({duration}, toUInt64({weight})) AS Exact"
    )


def questions(store: SpanStore) -> list[Question]:
    """All that is asked."""
    day = DashboardQuery(WORKSPACE, START, END, THRESHOLD)
    odd = DashboardQuery(WORKSPACE, START + 13 * HOUR + 7 * MINUTE, START + 18 * HOUR + 52 * MINUTE, THRESHOLD)

    async def dashboard(query: DashboardQuery) -> Figures:
        found = await find_dashboard(store, query)
        groups: list[tuple[Key, Compared]] = [(("", ""), found.requests)]
        groups += [((service, ""), compared) for service, compared in found.services.items()]
        groups += [((operation.service, operation.name), compared) for operation, compared in found.operations.items()]
        return {
            (is_current, *key): figures_of(requests)
            for key, compared in groups
            for is_current, requests in ((1, compared.current), (0, compared.previous))
            if requests is not None
        }

    def spans_of_dashboard(query: DashboardQuery) -> str:
        return (
            f"SELECT Timestamp >= fromUnixTimestamp64Nano({query.start}) AS Now, ServiceName, SpanName, {measures()}"
            f" FROM otel_traces WHERE {entries(query.previous_start, query.end)}"
            " GROUP BY GROUPING SETS ((Now), (Now, ServiceName), (Now, ServiceName, SpanName))"
        )

    async def series() -> Figures:
        found = await find_dashboard_series(store, day, HOUR)
        return {(time // 10**9,): figures_of(each.current) for time, each in found.items() if each.current is not None}

    async def latencies() -> Figures:
        found = await find_span_latencies(store, LatencyQuery(RedSpans(WORKSPACE), START, END, THRESHOLD, limit=1_000))
        return {(each.name,): figures_of(each.spans) for each in found}

    async def topology() -> Figures:
        found = await find_topology(store, start=START, end=END, limit=10_000, workspace=WORKSPACE)
        return {
            (edge.client.name, edge.server.name, edge.connection_type): (
                edge.calls,
                edge.failed,
                edge.server_durations.mean,
                tuple(edge.server_durations.percentiles),
            )
            for edge in found.edges
        }

    return [
        Question("dashboard of the day", lambda: dashboard(day), spans_of_dashboard(day)),
        Question("dashboard of odd minutes", lambda: dashboard(odd), spans_of_dashboard(odd)),
        Question(
            "dashboard in 24 steps",
            series,
            f"SELECT toUnixTimestamp(toStartOfHour(Timestamp)) AS Step, {measures()} FROM otel_traces"
            f" WHERE {entries(START, END)} GROUP BY Step",
        ),
        Question(
            "latencies by service",
            latencies,
            f"SELECT ServiceName, {measures()} FROM otel_traces WHERE {between(START, END)} GROUP BY ServiceName",
        ),
        Question(
            "topology",
            topology,
            f"SELECT Client, Server, Connection, {measures('ServerDuration', 'Weight', 'Failed')}"
            f" FROM ({calls(START // 10**9, END // 10**9)}) AS calls GROUP BY Client, Server, Connection",
        ),
    ]


def between(start: int, end: int) -> str:
    """The condition that spans start in [start, end), nanoseconds."""
    times = f"Timestamp >= fromUnixTimestamp64Nano({start}) AND Timestamp < fromUnixTimestamp64Nano({end})"
    return f"Workspace = '{WORKSPACE}' AND {times}"


def entries(start: int, end: int) -> str:
    """The same of spans that are requests."""
    return f"SpanKind IN {ENTRY_KINDS} AND {between(start, end)}"


def figures_of(found: Requests) -> tuple[float, float, float, tuple[float, ...]]:
    """Figures of requests."""
    return found.count, found.failed, found.mean, found.percentiles


async def ask(client: ClickHouseClient, question: Question) -> None:
    """Print how fast both sides answer, and how their figures differ."""
    quick = math.inf
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        found = await question.rollups()
        quick = min(quick, time.perf_counter() - began)
    began = time.perf_counter()
    rows = (await client.query(question.spans, timeout_s=TIMEOUT_S)).rows()
    slow = time.perf_counter() - began
    expected: Figures = {
        tuple(each for name, each in row.items() if name not in ("Count", "Failed", "Mean", "Exact")): (
            row["Count"],
            row["Failed"],
            row["Mean"],
            tuple(row["Exact"]),
        )
        for row in rows
    }
    are_equal = found.keys() == expected.keys() and all(
        math.isclose(one, other, rel_tol=1e-9)
        for key, figures in expected.items()
        for one, other in zip(found[key][:3], figures[:3], strict=True)
    )
    worst = max(
        abs(one - other) / other
        for key, figures in expected.items()
        for one, other in zip(found.get(key, figures)[3], figures[3], strict=True)
    )
    verdict = "met" if quick < 0.1 and slow >= 20 * quick and are_equal and worst <= 1.001 * RELATIVE_ERROR else "MISSED"
    print(
        f"{question.name:<26}{1e3 * quick:>9.0f} ms{1e3 * slow:>9.0f} ms{slow / quick:>7.0f} x"
        f"  {'equal' if are_equal else 'DIFFERENT':<10}{worst:>10.2%}  {verdict}",
        flush=True,
    )


async def run(port: int, spans: int) -> None:
    """Fill the tables and ask."""
    async with ClickHouseClient([f"http://127.0.0.1:{port}"], database="otel") as client:
        await apply(client, SchemaSettings())
        began = time.perf_counter()
        await fill(client, spans)
        print(f"{spans:,} spans of a day, made in {time.perf_counter() - began:.0f} s", flush=True)
        heads = f"{'':<26}{'rollups':>12}{'spans':>12}{'ratio':>9}  {'counts':<10}{'percentiles':>10}"
        print(f"{heads}  < 100 ms, >= 20 x, <= {RELATIVE_ERROR:.2%}")
        store = SpanStore(client, "otel.otel_traces", TIMEOUT_S)
        for question in questions(store):
            await ask(client, question)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000, help="how many; whole millions")
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory, embedded_server(Path(directory), [Account(reader=None)]) as port:
        asyncio.run(run(port, arguments.spans))


if __name__ == "__main__":
    main()
