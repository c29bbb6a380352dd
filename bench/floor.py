"""The floor: servers that take a request's bytes and acknowledge them, with the libraries that Python has for gRPC and HTTP.

No collector in Python on these libraries can cost less. Run as `python -m bench.floor --grpc PORT --http PORT`.
"""

from __future__ import annotations

import argparse
import asyncio

import grpc
import uvloop
from aiohttp import web

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
MAX_BYTES = 64 << 20
OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_BYTES),
    ("grpc.http2.max_frame_size", (1 << 24) - 1),
    ("grpc.experimental.tcp_read_chunk_size", 1 << 20),
    ("grpc.experimental.tcp_min_read_chunk_size", 1 << 18),
    ("grpc.experimental.tcp_max_read_chunk_size", 4 << 20),
]
"""What was found to cost least: whole requests in few frames and reads."""


async def _export(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return b""


async def _traces(request: web.Request) -> web.Response:
    await request.read()  # undoes gzip
    return web.Response(content_type=request.content_type)


async def run(grpc_port: int, http_port: int) -> None:
    """Serve both until cancelled."""
    server = grpc.aio.server(options=OPTIONS)
    handlers = {"Export": grpc.unary_unary_rpc_method_handler(_export)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    application = web.Application(client_max_size=MAX_BYTES)
    application.router.add_post("/v1/traces", _traces)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grpc", type=int, required=True)
    parser.add_argument("--http", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(run(arguments.grpc, arguments.http))


if __name__ == "__main__":
    main()
