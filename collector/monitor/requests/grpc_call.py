"""One unary call over gRPC, to an address that was checked. Messages are JSON here, and protobuf on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import grpc.aio
from yarl import URL

from collector.egress.destination import Destination
from collector.egress.policy import Policy
from collector.egress.resolving import Lookup, resolve
from collector.monitor.requests.exchange import Exchange, Timings
from collector.monitor.requests.grpc_channel import NotConnected, Unusable, connected, open_channel
from collector.monitor.requests.grpc_messages import UnaryMethod, files_of
from collector.monitor.requests.request import GrpcRequest, server_name_of
from config.tls import ClientTls


async def call(
    policy: Policy,
    lookup: Lookup,
    tls: ClientTls,
    request: GrpcRequest,
    metadata: Sequence[tuple[str, str]],
    timeout_s: float,
) -> Exchange:
    """Make the call.

    Args:
        metadata: what is sent beside the message, secrets put in, trace context included.
        timeout_s: of everything together.

    Raises:
        EgressRefused: it may not be sent there.
    """
    began = time.monotonic_ns()
    told = Exchange(Timings(), urls=(f"{request.url.rstrip('/')}/{request.method}",))
    try:
        async with asyncio.timeout(timeout_s):
            await _call(policy, lookup, tls, request, metadata, told)
    except TimeoutError:
        told.cause, told.detail = "timeout", f"There was no answer within {timeout_s:g} s."
    except Unusable as error:
        told.cause, told.detail = "message", str(error)
    except NotConnected as error:
        told.cause, told.detail = "connect", str(error)
    except OSError as error:
        told.cause, told.detail = "dns", f"The host has no address: {error}"
    told.timings.total = time.monotonic_ns() - began
    return told


async def _call(
    policy: Policy,
    lookup: Lookup,
    tls: ClientTls,
    request: GrpcRequest,
    metadata: Sequence[tuple[str, str]],
    told: Exchange,
) -> None:
    url = URL(request.url)
    destination = Destination.of_url(url)
    before = time.monotonic_ns()
    addresses = [(str(each), destination.port) for each in await resolve(policy, destination, lookup)]
    if destination.address is None:
        told.timings.dns = time.monotonic_ns() - before
    async with open_channel(addresses, url.host_port_subcomponent or "", tls, server_name_of(url)) as channel:
        told.address = str(Destination(*addresses[0]))
        before = time.monotonic_ns()
        await connected(channel)
        told.timings.connect = time.monotonic_ns() - before
        files = await files_of(channel, request.method, request.descriptors, metadata)
        # In a thread, as below: what is long to read must not keep the event loop from others.
        method = await asyncio.to_thread(UnaryMethod, files, request.method)
        message = await asyncio.to_thread(method.encode, request.message)
        unary = channel.unary_unary(f"/{request.method}")
        before = time.monotonic_ns()
        try:
            answer = await unary(message, metadata=tuple(metadata))
        except grpc.aio.AioRpcError as error:
            told.timings.first_byte = time.monotonic_ns() - before
            told.status, told.detail = error.code().value[0], error.details() or ""
        else:
            told.timings.first_byte = time.monotonic_ns() - before
            told.nbytes = len(answer)
            told.body = await asyncio.to_thread(method.decode, answer)
