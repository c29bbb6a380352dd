"""Calls whose sides came apart: SQL that lets halves of calls meet in the store.

A half (`exporters/clickhouse/schema/otel_topology_halves.sql`) belongs to the minute in which it came to the store, which the
store itself has written down. Two halves meet if they came within MINUTES, and their call belongs to the later of their minutes.
A caller whom nobody has met for so long has called what it named, and that call belongs to the minute in which its time was up.
So every call belongs to one minute of arrival; and once nothing more comes in a minute, whoever asks for its calls gets the same.
"""

from __future__ import annotations

from typing import Final

from collector.calls import CONNECTIONS, DIRECT, MESSAGING, NODES, SERVICES, TO_EXTERNAL, TO_MESSAGING, VIRTUAL
from collector.sketch import MERGE, bucket_expression
from proto.call_kernels import CALLER, CLIENT, CONSUMER, LINKED, PRODUCER, SERVER

MINUTES: Final = 5
"""Halves may come in so many minutes, one after the other, and still meet."""

CATCH_UP_S: Final = 1_800
"""What belongs to minutes that are longer ago is not settled any more: halves are kept for an hour, and of what was done under
which token, replicated tables remember as much."""

SENDERS: Final = f"({CLIENT}, {PRODUCER})"
RECEIVERS: Final = f"({SERVER}, {CONSUMER})"

_WAIT_S: Final = 60 * (MINUTES - 1)

COLUMNS: Final = (
    "Workspace",
    "ArrivalMinute",
    "Minute",
    "Client",
    "Server",
    "ConnectionType",
    "Node",
    "Calls",
    "FailedCalls",
    *(f"{side}Duration{part}" for side in ("Client", "Server") for part in ("Sum", "Min", "Max", "Sketch")),
)
"""What is told of calls, in the order in which `calls_of_halves` tells it."""


def calls_of_halves(halves_table: str, first: str, end: str, condition: str = "1") -> str:
    """A SELECT of COLUMNS, for all calls that belong to minutes of arrival in [first, end).

    Args:
        halves_table: quoted where necessary.
        first, end: expressions of type DateTime, beginnings of minutes.
        condition: which halves are looked at.
    """

    def arrived(earlier_s: int, until_earlier_s: int = 0) -> str:
        return f"Arrived >= {first} - {earlier_s} AND Arrived < {end} - {until_earlier_s} AND ({condition})"

    met = f"""
SELECT
    greatest(callee.ArrivalMinute, caller.ArrivalMinute) AS ArrivalMinute,
    Workspace,
    callee.Minute AS Minute,
    caller.Half.1 AS Client,
    callee.Service AS Server,
    if(caller.Half.2 = {PRODUCER} OR callee.Kind = {CONSUMER}, '{CONNECTIONS[MESSAGING]}', '{CONNECTIONS[DIRECT]}')
        AS ConnectionType,
    '{NODES[SERVICES]}' AS Node,
    greatest(callee.Weight, caller.Half.5) AS Weight,
    callee.Failed OR caller.Half.4 AS Failed,
    caller.Half.3 AS ClientDuration,
    callee.Duration AS ServerDuration,
    true AS HasServer
FROM
(
    SELECT toStartOfMinute(Arrived) AS ArrivalMinute, Workspace, Key, Side, Service, Kind, Minute, Duration, Weight, Failed
    FROM {halves_table}
    WHERE Side != {CALLER} AND {arrived(_WAIT_S)}
) AS callee
INNER JOIN
(
    -- Where several spans have the same ids, a server or consumer counts before others.
    SELECT
        Workspace,
        Key,
        toStartOfMinute(min(Arrived)) AS ArrivalMinute,
        argMax((Service, Kind, Duration, Failed, Weight), Kind IN {RECEIVERS}) AS Half
    FROM {halves_table}
    WHERE Side = {CALLER} AND {arrived(_WAIT_S)}
        AND Key IN (SELECT Key FROM {halves_table} WHERE Side != {CALLER} AND {arrived(_WAIT_S)})
    GROUP BY Workspace, Key
) AS caller USING (Workspace, Key)
WHERE ArrivalMinute >= {first} AND abs(callee.ArrivalMinute - caller.ArrivalMinute) <= {_WAIT_S} AND Client != Server
    AND if(callee.Side = {LINKED}, caller.Half.2 = {PRODUCER}, NOT (caller.Half.2 IN {SENDERS} AND callee.Kind IN {SENDERS}))"""  # noqa: S608 - all of it is the program's own
    named = (
        f"Side = {CALLER} AND Kind IN {SENDERS} AND NOT Matched AND Peer != '' AND {arrived(_WAIT_S, until_earlier_s=_WAIT_S)}"
    )
    met_nobody = f"""
SELECT
    caller.ArrivalMinute + {_WAIT_S} AS ArrivalMinute,
    Workspace,
    Minute,
    Service AS Client,
    Peer AS Server,
    '{CONNECTIONS[VIRTUAL]}' AS ConnectionType,
    if(Kind = {PRODUCER}, '{NODES[TO_MESSAGING]}', '{NODES[TO_EXTERNAL]}') AS Node,
    Weight,
    Failed,
    Duration AS ClientDuration,
    toUInt64(0) AS ServerDuration,
    false AS HasServer
FROM
(
    SELECT toStartOfMinute(Arrived) AS ArrivalMinute, Workspace, Key, Service, Kind, Minute, Duration, Weight, Failed, Peer
    FROM {halves_table}
    WHERE {named}
) AS caller
LEFT JOIN
(
    SELECT Workspace, Key, groupUniqArray((toStartOfMinute(Arrived), Side, Service, Kind)) AS Others
    FROM {halves_table}
    WHERE (Side != {CALLER} OR Kind IN {RECEIVERS}) AND {arrived(2 * _WAIT_S)}
        AND Key IN (SELECT Key FROM {halves_table} WHERE {named})
    GROUP BY Workspace, Key
) AS others USING (Workspace, Key)
WHERE NOT arrayExists(
    other -> abs(other.1 - caller.ArrivalMinute) <= {_WAIT_S} AND other.3 != Service
        AND multiIf(other.2 = {CALLER}, true, other.2 = {LINKED}, Kind = {PRODUCER}, other.4 NOT IN {SENDERS}),
    Others)"""  # noqa: S608 - as above
    return f"""
SELECT
    Workspace, ArrivalMinute, Minute, Client, Server, ConnectionType, Node,
    sum(Weight) AS Calls,
    sumIf(Weight, Failed) AS FailedCalls,
    sum(Weight * ClientDuration) AS ClientDurationSum,
    min(ClientDuration) AS ClientDurationMin,
    max(ClientDuration) AS ClientDurationMax,
    {MERGE}(map({bucket_expression("ClientDuration")}, Weight)) AS ClientDurationSketch,
    sumIf(Weight * ServerDuration, HasServer) AS ServerDurationSum,
    minIf(ServerDuration, HasServer) AS ServerDurationMin,
    maxIf(ServerDuration, HasServer) AS ServerDurationMax,
    {MERGE}If(map({bucket_expression("ServerDuration")}, Weight), HasServer) AS ServerDurationSketch
FROM ({met}
UNION ALL{met_nobody}
)
GROUP BY Workspace, ArrivalMinute, Minute, Client, Server, ConnectionType, Node"""  # noqa: S608 - as above
