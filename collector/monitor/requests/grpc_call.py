"""One unary call over gRPC, to an address that was checked. Messages are JSON here, and protobuf on the way.

What messages are made of comes from a FileDescriptorSet, or from the server's own reflection, of which versions v1 and v1alpha
differ by the name of the service alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2
from yarl import URL

from collector.egress.destination import Destination
from collector.egress.policy import Policy
from collector.egress.resolving import Lookup, resolve
from collector.monitor.requests.exchange import Exchange, Timings
from collector.monitor.requests.request import GrpcRequest
from config.tls import ClientTls

_REFLECTION: Final = (
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
_OF_HTTP: Final = {
    400: grpc.StatusCode.INTERNAL,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    429: grpc.StatusCode.UNAVAILABLE,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}
"""Mapping of gRPC's doc/http-grpc-status-mapping.md; others are UNKNOWN."""
_MOST_FILES: Final = 1000
_LARGEST_ANSWER: Final = 4 << 20
_TOO_LONG: Final = "The server describes itself at too great length."


def grpc_status(status: int) -> int:
    """The number of gRPC's status that a status of HTTP means."""
    number: int = _OF_HTTP.get(status, grpc.StatusCode.UNKNOWN).value[0]
    return number


class Unusable(Exception):
    """The call cannot be made; the text says why, as a sentence."""


class _NotConnected(Exception):
    """There is no connection."""


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
    except _NotConnected as error:
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
    addresses = await resolve(policy, destination, lookup)
    if destination.address is None:
        told.timings.dns = time.monotonic_ns() - before
    # The library tries them in turn. It asks neither a name server nor a proxy for addresses.
    family = f"ipv{addresses[0].version}"
    usable = [str(Destination(str(each), destination.port)) for each in addresses if each.version == addresses[0].version]
    async with _channel(f"{family}:{','.join(usable)}", url, tls) as channel:
        told.address = usable[0]
        before = time.monotonic_ns()
        await _connected(channel)
        told.timings.connect = time.monotonic_ns() - before
        files = await _files(channel, request, metadata)
        # In a thread, as below: what is long to read must not keep the event loop from others.
        method, message = await asyncio.to_thread(_prepared, files, request)
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
            told.body = await asyncio.to_thread(_as_json, method, answer)


def _channel(target: str, url: URL, tls: ClientTls) -> grpc.aio.Channel:
    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.default_authority", url.host_port_subcomponent),
        ("grpc.max_receive_message_length", _LARGEST_ANSWER),
        # Channels with the same options would share connections, and then nobody would see how long one takes.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if url.scheme == "http":
        return grpc.aio.insecure_channel(target, options)
    try:
        files = [Path(name).read_bytes() if name else None for name in (tls.ca_file, tls.key_file, tls.cert_file)]
    except OSError as error:
        raise Unusable(f"A file for TLS cannot be read: {error}.") from None
    options.append(("grpc.ssl_target_name_override", tls.server_name_override or url.raw_host))
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(*files), options)


async def _connected(channel: grpc.aio.Channel) -> None:
    """Wait for a connection. The library would try for ever; here once is enough."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            raise _NotConnected("No connection could be made, or no encryption agreed on.")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


async def _files(
    channel: grpc.aio.Channel, request: GrpcRequest, metadata: Sequence[tuple[str, str]]
) -> list[descriptor_pb2.FileDescriptorProto]:
    """The files that describe what is called."""
    if not request.descriptors:
        return await _reflected(channel, request.method.rpartition("/")[0], metadata)
    try:
        files = list(descriptor_pb2.FileDescriptorSet.FromString(request.descriptors).file)
    except DecodeError:
        raise Unusable("What descriptors holds is no FileDescriptorSet.") from None
    if len(files) > _MOST_FILES:
        raise Unusable(f"What descriptors holds has more than {_MOST_FILES} files.")
    return files


def _prepared(files: Sequence[descriptor_pb2.FileDescriptorProto], request: GrpcRequest) -> tuple[MethodDescriptor, bytes]:
    """The method that is called, and the message as protobuf."""
    method = _method(files, request)
    return method, _message(method, request)


def _method(files: Sequence[descriptor_pb2.FileDescriptorProto], request: GrpcRequest) -> MethodDescriptor:
    service, _, name = request.method.rpartition("/")
    pool = DescriptorPool()
    try:
        for file in _in_order(files):
            pool.Add(file)
        found = pool.FindServiceByName(service)
    except (KeyError, TypeError) as error:
        raise Unusable(f"The service {service} cannot be made of the descriptors: {error}.") from None
    method = found.methods_by_name.get(name)
    if method is None:
        raise Unusable(f"The service {service} has no method {name}; it has {', '.join(found.methods_by_name) or 'none'}.")
    if method.client_streaming or method.server_streaming:
        raise Unusable(f"The method {name} is a stream; only unary methods can be called.")
    return method


async def _reflected(
    channel: grpc.aio.Channel, service: str, metadata: Sequence[tuple[str, str]]
) -> list[descriptor_pb2.FileDescriptorProto]:
    """The files that describe a service, and all that they need."""
    for path in _REFLECTION:
        stream = channel.stream_stream(
            path,
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )(metadata=tuple(metadata))
        try:
            return await _ask(stream, service)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            # The latter where the stream had ended before it was written to.
            code = await stream.code()
            if code is not grpc.StatusCode.UNIMPLEMENTED:
                raise Unusable(f"The server's reflection failed: {code.name}: {await stream.details()}.") from error
        finally:
            stream.cancel()
    raise Unusable("The server has no reflection; give descriptors.")


async def _ask(stream: Any, service: str) -> list[descriptor_pb2.FileDescriptorProto]:
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    nbytes = 0
    wanted = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)]
    while wanted:
        await stream.write(wanted.pop())
        answer = await stream.read()
        if answer is grpc.aio.EOF:
            raise Unusable("The server's reflection has ended before it told everything.")
        if answer.HasField("error_response"):
            raise Unusable(f"The server does not know {service}: {answer.error_response.error_message}")
        for text in answer.file_descriptor_response.file_descriptor_proto:
            nbytes += len(text)
            try:
                file = descriptor_pb2.FileDescriptorProto.FromString(text)
            except DecodeError:
                raise Unusable("The server describes itself by what is no FileDescriptorProto.") from None
            files[file.name] = file
            if nbytes > _LARGEST_ANSWER or len(files) > _MOST_FILES:
                raise Unusable(_TOO_LONG)
        asked = {request.file_by_filename for request in wanted}
        missing = {name for file in files.values() for name in file.dependency} - files.keys() - asked
        wanted += [reflection_pb2.ServerReflectionRequest(file_by_filename=name) for name in sorted(missing)]
        if len(wanted) > _MOST_FILES:
            raise Unusable(_TOO_LONG)
    return list(files.values())


def _in_order(files: Sequence[descriptor_pb2.FileDescriptorProto]) -> list[descriptor_pb2.FileDescriptorProto]:
    """The files so that each stands behind those that it needs. Raises KeyError where one is missing, or they need each other."""
    waiting = {file.name: file for file in files}
    ordered: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    while waiting:
        ready = [file for file in waiting.values() if all(name in ordered for name in file.dependency)]
        if not ready:
            raise KeyError(f"files that are needed are missing, among them those of {next(iter(waiting))}")
        for file in ready:
            ordered[file.name] = waiting.pop(file.name)
    return list(ordered.values())


def _message(method: MethodDescriptor, request: GrpcRequest) -> bytes:
    try:
        message = message_factory.GetMessageClass(method.input_type)()
        pool = method.containing_service.file.pool
        return json_format.ParseDict(dict(request.message), message, descriptor_pool=pool).SerializeToString()
    except (json_format.ParseError, TypeError, RecursionError) as error:
        raise Unusable(f"The message is no {method.input_type.full_name}: {error}.") from None


def _as_json(method: MethodDescriptor, answer: bytes) -> bytes:
    try:
        message = message_factory.GetMessageClass(method.output_type).FromString(answer)
        pool = method.containing_service.file.pool
        return json_format.MessageToJson(message, indent=None, descriptor_pool=pool).encode()
    except (DecodeError, json_format.Error, TypeError, ValueError) as error:
        # Besides bytes that are none, there are messages within messages of types that nobody has described.
        raise Unusable(f"The answer cannot be shown as {method.output_type.full_name}: {error}.") from None
