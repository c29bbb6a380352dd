"""The plain way: protobuf message objects, Python loops into column lists, clickhouse-connect's insert of those lists.

What a straightforward collector in Python would be. It acknowledges when it has the rows in memory, and inserts in batches of
up to 8192 rows or 200 ms, as spanhouse and rotel do. Run as `python -m bench.plain --grpc PORT --http PORT --sink PORT`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
from collections.abc import Iterable
from typing import Any

import clickhouse_connect
import grpc
import uvloop
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from bench.floor import MAX_BYTES, OPTIONS, SERVICE

BATCH_ROWS = 8192
BATCH_S = 0.2
MAP = "Map(LowCardinality(String), String)"
COLUMNS = {
    "Timestamp": "DateTime64(9)",
    "TraceId": "String",
    "SpanId": "String",
    "ParentSpanId": "String",
    "TraceState": "String",
    "SpanName": "LowCardinality(String)",
    "SpanKind": "LowCardinality(String)",
    "ServiceName": "LowCardinality(String)",
    "ResourceAttributes": MAP,
    "ScopeName": "String",
    "ScopeVersion": "String",
    "SpanAttributes": MAP,
    "Duration": "UInt64",
    "StatusCode": "LowCardinality(String)",
    "StatusMessage": "String",
    "Events.Timestamp": "Array(DateTime64(9))",
    "Events.Name": "Array(LowCardinality(String))",
    "Events.Attributes": f"Array({MAP})",
    "Links.TraceId": "Array(String)",
    "Links.SpanId": "Array(String)",
    "Links.TraceState": "Array(String)",
    "Links.Attributes": f"Array({MAP})",
}
KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES = ("Unset", "Ok", "Error")
LATEST = 2**63 - 1


def text_of(value: AnyValue) -> str:
    """An attribute value as the table stores it."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return str(value.int_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "double_value":
            return f"{value.double_value:g}"
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value":
            return json.dumps([text_of(item) for item in value.array_value.values])
        case "kvlist_value":
            return json.dumps(map_of(value.kvlist_value.values), sort_keys=True)
        case _:
            return ""


def map_of(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as a Map column takes them."""
    return {attribute.key: text_of(attribute.value) for attribute in attributes}


class Rows:
    """Column lists that grow by a request and are inserted by batches."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._columns: list[list[Any]] = [[] for _ in COLUMNS]

    def add(self, request: ExportTraceServiceRequest) -> None:
        """Append one row for each span."""
        appends = [column.append for column in self._columns]
        for resource_spans in request.resource_spans:
            resource = map_of(resource_spans.resource.attributes)
            service = resource.get("service.name", "")
            for scope_spans in resource_spans.scope_spans:
                scope = scope_spans.scope
                for span in scope_spans.spans:
                    row = (
                        min(span.start_time_unix_nano, LATEST),
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.trace_state,
                        span.name,
                        KINDS[span.kind],
                        service,
                        resource,
                        scope.name,
                        scope.version,
                        map_of(span.attributes),
                        max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
                        STATUS_CODES[span.status.code],
                        span.status.message,
                        [min(event.time_unix_nano, LATEST) for event in span.events],
                        [event.name for event in span.events],
                        [map_of(event.attributes) for event in span.events],
                        [link.trace_id.hex() for link in span.links],
                        [link.span_id.hex() for link in span.links],
                        [link.trace_state for link in span.links],
                        [map_of(link.attributes) for link in span.links],
                    )
                    for append, value in zip(appends, row, strict=True):
                        append(value)

    def full(self) -> bool:
        """Whether a batch is complete."""
        return len(self._columns[0]) >= BATCH_ROWS

    async def flush(self) -> None:
        """Insert what there is."""
        columns, self._columns = self._columns, [[] for _ in COLUMNS]
        if columns[0]:
            await asyncio.to_thread(self._insert, columns)

    def _insert(self, columns: list[list[Any]]) -> None:
        self._client.insert(
            "otel_traces",
            columns,
            column_names=list(COLUMNS),
            column_type_names=list(COLUMNS.values()),
            column_oriented=True,
        )


async def run(grpc_port: int, http_port: int, sink_port: int) -> None:
    """Serve until cancelled."""
    client = await asyncio.to_thread(
        clickhouse_connect.get_client, host="127.0.0.1", port=sink_port, database="otel", compress="lz4"
    )
    rows = Rows(client)
    inserting = asyncio.Lock()

    async def flush() -> None:
        async with inserting:
            await rows.flush()

    async def take(request: ExportTraceServiceRequest) -> None:
        rows.add(request)
        if rows.full():
            # The sender waits for the insert: that is what bounds the memory.
            await flush()

    async def export(request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
        await take(request)
        return ExportTraceServiceResponse()

    async def traces(request: web.Request) -> web.Response:
        await take(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    server = grpc.aio.server(options=OPTIONS)
    handler = grpc.unary_unary_rpc_method_handler(
        export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": handler}),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    application = web.Application(client_max_size=MAX_BYTES)
    application.router.add_post("/v1/traces", traces)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    while True:
        await asyncio.sleep(BATCH_S)
        await flush()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grpc", type=int, required=True)
    parser.add_argument("--http", type=int, required=True)
    parser.add_argument("--sink", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(run(arguments.grpc, arguments.http, arguments.sink))


if __name__ == "__main__":
    main()
