"""Executions of saved requests in ClickHouse."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from collector.monitor.requests.exchange import Exchange, Timings
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import instant, quoted

KEPT_BYTES: Final = 64 << 10
"""So much of an answer's body is kept."""

_TABLE: Final = "otel_request_executions"
_NO_RULE: Final = uuid.UUID(int=0)
_COLUMNS: Final = """
    Workspace, Id, RequestId, RequestVersion, Name, toUnixTimestamp64Nano(ExecutedAt) AS At, ExecutedBy, TraceId, SpanId, Cause,
    FailureRule, FailureType, Detail, Status, Urls, Address, Dns, Connect, Tls, FirstByte, Total, ReceivedBytes, Headers, Body
"""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution.

    Attributes:
        request, request_version: which saved request it is of; `name` is what that was called.
        at: nanoseconds since 1970.
        by: the name of the caller.
        trace_id, span_id: of the trace that began with it, hexadecimal.
        cause: why it is no success, in few words; empty when it is one. `exchange.detail` has more about it.
        exchange: what came of it.
        injected: id of the rule, and type of the failure, where something went wrong on purpose.
    """

    id: uuid.UUID
    workspace: str
    request: uuid.UUID
    request_version: int
    name: str
    at: int
    by: str
    trace_id: str
    span_id: str
    cause: str
    exchange: Exchange
    injected: tuple[uuid.UUID, str] | None = None


class ExecutionStore:
    """The table of executions.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        database: in which the table is.
        timeout_s: of one statement.

    All methods raise ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable as the client.
    """

    def __init__(self, client: ClickHouseClient, database: str, timeout_s: float = 30.0) -> None:
        self._client = client
        self._table = f"{quoted(database)}.{quoted(_TABLE)}"
        self._timeout_s = timeout_s

    async def write(self, execution: Execution) -> None:
        """Store an execution."""
        told = execution.exchange
        row = {
            "Workspace": execution.workspace,
            "Id": str(execution.id),
            "RequestId": str(execution.request),
            "RequestVersion": execution.request_version,
            "Name": execution.name,
            "ExecutedAt": instant(execution.at),
            "ExecutedBy": execution.by,
            "TraceId": execution.trace_id,
            "SpanId": execution.span_id,
            "Cause": execution.cause,
            "FailureRule": str(execution.injected[0] if execution.injected else _NO_RULE),
            "FailureType": execution.injected[1] if execution.injected else "",
            "Detail": told.detail,
            "Status": told.status,
            "Urls": told.urls,
            "Address": told.address,
            "Dns": told.timings.dns,
            "Connect": told.timings.connect,
            "Tls": told.timings.tls,
            "FirstByte": told.timings.first_byte,
            "Total": told.timings.total,
            "ReceivedBytes": told.nbytes,
            "Headers": told.headers,
            "Body": told.body[:KEPT_BYTES].decode(errors="replace"),
        }
        sql = f"INSERT INTO {self._table} FORMAT JSONEachRow"
        await self._client.insert(sql, orjson.dumps(row), settings={"async_insert": 0}, timeout_s=self._timeout_s)

    async def get(self, workspace: str, execution_id: uuid.UUID) -> Execution | None:
        """The execution of an id, or None where the workspace has none."""
        found = await self._read("Id = {id:UUID}", {"workspace": workspace, "id": str(execution_id)}, "LIMIT 1")
        return found[0] if found else None

    async def page(
        self, workspace: str, limit: int, *, before: tuple[int, uuid.UUID] | None = None, request: uuid.UUID | None = None
    ) -> list[Execution]:
        """Executions of a workspace, the latest first.

        Args:
            before: time and id of the execution behind which the page begins.
            request: only executions of this saved request.
        """
        conditions, parameters = ["1"], {"workspace": workspace, "limit": limit}
        if request is not None:
            conditions.append("RequestId = {request:UUID}")
            parameters["request"] = str(request)
        if before is not None:
            conditions.append("(ExecutedAt, toString(Id)) < (fromUnixTimestamp64Nano({at:Int64}), {id:String})")
            parameters |= {"at": before[0], "id": str(before[1])}
        then = "ORDER BY ExecutedAt DESC, toString(Id) DESC LIMIT {limit:UInt32}"
        return await self._read(" AND ".join(conditions), parameters, then)

    async def _read(self, condition: str, parameters: Mapping[str, object], then: str) -> list[Execution]:
        where = f"Workspace = {{workspace:String}} AND {condition}"
        sql = f"SELECT {_COLUMNS} FROM {self._table} WHERE {where} {then}"  # noqa: S608 - values are bound
        found = await self._client.query(sql, parameters, timeout_s=self._timeout_s)
        return [_execution(row) for row in found.rows()]


def _execution(row: Mapping[str, Any]) -> Execution:
    headers: Sequence[Sequence[str]] = row["Headers"]
    told = Exchange(
        timings=Timings(row["Dns"], row["Connect"], row["Tls"], row["FirstByte"], row["Total"]),
        address=row["Address"],
        status=row["Status"],
        headers=[(name, value) for name, value in headers],
        body=row["Body"].encode(errors="replace"),
        nbytes=row["ReceivedBytes"],
        urls=tuple(row["Urls"]),
        cause=row["Cause"],
        detail=row["Detail"],
    )
    return Execution(
        id=uuid.UUID(row["Id"]),
        workspace=row["Workspace"],
        request=uuid.UUID(row["RequestId"]),
        request_version=row["RequestVersion"],
        name=row["Name"],
        at=row["At"],
        by=row["ExecutedBy"],
        trace_id=row["TraceId"],
        span_id=row["SpanId"],
        cause=row["Cause"],
        exchange=told,
        injected=(uuid.UUID(row["FailureRule"]), row["FailureType"]) if row["FailureType"] else None,
    )
