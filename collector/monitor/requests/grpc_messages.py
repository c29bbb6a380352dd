"""What messages of gRPC are made of, and messages as JSON.

It comes from a FileDescriptorSet, or from the server's own reflection, of which versions v1 and v1alpha differ by the name of the
service alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2

from collector.monitor.requests.grpc_channel import LARGEST_ANSWER, Unusable

_REFLECTION: Final = (
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
_MOST_FILES: Final = 1000
_TOO_LONG: Final = "The server describes itself at too great length."


async def files_of(
    channel: grpc.aio.Channel, method: str, descriptors: bytes, metadata: Sequence[tuple[str, str]]
) -> list[descriptor_pb2.FileDescriptorProto]:
    """The files that describe what is called.

    Args:
        channel: to the server, connected.
        method: the full name of the service, a slash, and the name of the method.
        descriptors: a FileDescriptorSet; the server is asked where it is empty.
        metadata: for the question.

    Raises:
        Unusable: there are none, or they are too long.
    """
    if not descriptors:
        return await _reflected(channel, method.rpartition("/")[0], metadata)
    try:
        files = list(descriptor_pb2.FileDescriptorSet.FromString(descriptors).file)
    except DecodeError:
        raise Unusable("What descriptors holds is no FileDescriptorSet.") from None
    if len(files) > _MOST_FILES:
        raise Unusable(f"What descriptors holds has more than {_MOST_FILES} files.")
    return files


class UnaryMethod:
    """A method that takes one message and answers with one.

    Args:
        files: that describe its service and its messages.
        name: the full name of the service, a slash, and the name of the method.

    Raises:
        Unusable: they describe no such method.
    """

    def __init__(self, files: Sequence[descriptor_pb2.FileDescriptorProto], name: str) -> None:
        self._method = _method(files, name)
        self._pool = self._method.containing_service.file.pool

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """A message for it as protobuf, from the JSON form. Raises Unusable where that does not fit."""
        wanted = self._method.input_type
        try:
            made = message_factory.GetMessageClass(wanted)()
            return json_format.ParseDict(dict(message), made, descriptor_pool=self._pool).SerializeToString()
        except (json_format.ParseError, TypeError, RecursionError) as error:
            raise Unusable(f"The message is no {wanted.full_name}: {error}.") from None

    def decode(self, answer: bytes) -> bytes:
        """Its answer in the JSON form. Raises Unusable where it is none."""
        wanted = self._method.output_type
        try:
            message = message_factory.GetMessageClass(wanted).FromString(answer)
            return json_format.MessageToJson(message, indent=None, descriptor_pool=self._pool).encode()
        except (DecodeError, json_format.Error, TypeError, ValueError) as error:
            # Besides bytes that are none, there are messages within messages of types that nobody has described.
            raise Unusable(f"The answer cannot be shown as {wanted.full_name}: {error}.") from None


def _method(files: Sequence[descriptor_pb2.FileDescriptorProto], called: str) -> MethodDescriptor:
    service, _, name = called.rpartition("/")
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
        # Each question is a call with one message, which on the wire is the stream that it is for the server. A stream on this
        # side, to which messages are written one by one, does not tell its status when it has ended before one could be written.
        ask = channel.unary_stream(
            path,
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        try:
            return await _all_files(partial(ask, metadata=tuple(metadata)), service)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise Unusable(f"The server's reflection failed: {error.code().name}: {error.details()}.") from error
    raise Unusable("The server has no reflection; give descriptors.")


async def _all_files(ask: Callable[[Any], Any], service: str) -> list[descriptor_pb2.FileDescriptorProto]:
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    nbytes = 0
    wanted = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)]
    while wanted:
        answer = await _answer(ask(wanted.pop()))
        if answer.HasField("error_response"):
            raise Unusable(f"The server does not know {service}: {answer.error_response.error_message}")
        for text in answer.file_descriptor_response.file_descriptor_proto:
            nbytes += len(text)
            try:
                file = descriptor_pb2.FileDescriptorProto.FromString(text)
            except DecodeError:
                raise Unusable("The server describes itself by what is no FileDescriptorProto.") from None
            files[file.name] = file
            if nbytes > LARGEST_ANSWER or len(files) > _MOST_FILES:
                raise Unusable(_TOO_LONG)
        asked = {request.file_by_filename for request in wanted}
        missing = {name for file in files.values() for name in file.dependency} - files.keys() - asked
        wanted += [reflection_pb2.ServerReflectionRequest(file_by_filename=name) for name in sorted(missing)]
        if len(wanted) > _MOST_FILES:
            raise Unusable(_TOO_LONG)
    return list(files.values())


async def _answer(call: Any) -> reflection_pb2.ServerReflectionResponse:
    """The one message of an answer. Raises Unusable where there is none, and AioRpcError."""
    try:
        answer = await call.read()
    finally:
        call.cancel()
    if answer is grpc.aio.EOF:
        raise Unusable("The server's reflection has ended before it told everything.")
    return answer


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
