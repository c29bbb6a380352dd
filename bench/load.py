"""The sender: a process of its own, so that its work is not counted with the receiver's.

Run as `python -m bench.load LOAD ENDPOINT IN_FLIGHT`. It prepares all bodies, opens its connections, and prints `ready`. For each
line `N` on its input it sends N requests, bounded in flight, and prints one line of JSON when all are answered:
{"seconds": s, "refused": n, "error": "the first refusal"}. It ends with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import cycle, islice

import aiohttp
import grpc
import uvloop

from bench.loads import LOADS, Load

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
DEADLINE_S = 60.0

Send = Callable[[bytes], Awaitable[str]]
"""Sends one request and returns why it was refused, empty when it was not."""


async def run(load: Load, endpoint: str) -> None:
    """Serve lines of standard input until it ends."""
    if load.protocol == "grpc":
        async with grpc.aio.insecure_channel(endpoint, options=UNLIMITED) as channel:
            await _serve(load, _grpc_sender(channel))
    else:
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=load.in_flight)) as session:
            await _serve(load, _http_sender(session, endpoint, load.headers))


async def _serve(load: Load, send: Send) -> None:
    bodies = load.bodies()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await _send_all(send, bodies, int(line), load.in_flight)), flush=True)


async def _send_all(send: Send, bodies: list[bytes], requests: int, in_flight: int) -> dict[str, object]:
    remaining = islice(cycle(bodies), requests)

    async def sender() -> list[str]:
        return [refusal for body in remaining if (refusal := await send(body))]

    started = time.perf_counter()
    refused = await asyncio.gather(*(sender() for _ in range(in_flight)))
    seconds = time.perf_counter() - started
    refusals = [refusal for of_sender in refused for refusal in of_sender]
    return {"seconds": seconds, "refused": len(refusals), "error": refusals[0] if refusals else ""}


def _grpc_sender(channel: grpc.aio.Channel) -> Send:
    # Without serializers, bytes go out and come back as they are.
    export = channel.unary_unary(METHOD)

    async def send(body: bytes) -> str:
        try:
            await export(body, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return ""

    return send


def _http_sender(session: aiohttp.ClientSession, endpoint: str, headers: dict[str, str]) -> Send:
    url = f"http://{endpoint}/v1/traces"

    async def send(body: bytes) -> str:
        async with session.post(url, data=body, headers=headers) as response:
            answer = await response.read()
            return "" if response.status == 200 else f"{response.status}: {answer.decode(errors='replace')[:200]}"

    return send


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("endpoint")
    parser.add_argument("in_flight", type=int)
    arguments = parser.parse_args()
    uvloop.run(run(replace(LOADS[arguments.load], in_flight=arguments.in_flight), arguments.endpoint))


if __name__ == "__main__":
    main()
