"""Spanhouse's gRPC server alone: it takes a request's bytes and acknowledges them, as the floor does with the library's.

Run as `python -m bench.bare --grpc PORT`.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import NoReturn

import uvloop

from bench.floor import MAX_BYTES, SERVICE
from collector.receivers.grpc_server.call import Call, Method, Serve
from collector.receivers.grpc_server.calls import Service
from collector.receivers.grpc_server.server import GrpcServer
from collector.receivers.settings import GrpcSettings


async def _take(message: bytes) -> bytes:
    return b""


def _admit(call: Call) -> Serve:
    return _take


def _failed(error: Exception) -> NoReturn:
    raise error


async def run(port: int) -> None:
    """Serve until cancelled."""
    export = Method(_admit, max_bytes=MAX_BYTES)
    service = Service({f"/{SERVICE}/Export": export}, export, _failed, message_timeout_s=60.0)
    await GrpcServer(GrpcSettings("127.0.0.1", port), service).start()
    await asyncio.Event().wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grpc", type=int, required=True)
    uvloop.run(run(parser.parse_args().grpc))


if __name__ == "__main__":
    main()
