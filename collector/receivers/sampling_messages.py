"""The messages of Jaeger's `SamplingManager`, with the library of protobuf: its JSON is that of the strategies over HTTP.

Source: `proto/api_v2/sampling.proto` of jaeger-idl.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.json_format import ParseDict

from collector.control.strategy_file import Strategy

_PACKAGE: Final = "jaeger.api_v2"
_MESSAGES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "SamplingStrategyParameters": (("serviceName", "string"),),
    "ProbabilisticSamplingStrategy": (("samplingRate", "double"),),
    "RateLimitingSamplingStrategy": (("maxTracesPerSecond", "int32"),),
    "OperationSamplingStrategy": (("operation", "string"), ("probabilisticSampling", "ProbabilisticSamplingStrategy")),
    "PerOperationSamplingStrategies": (
        ("defaultSamplingProbability", "double"),
        ("defaultLowerBoundTracesPerSecond", "double"),
        ("perOperationStrategies", "repeated OperationSamplingStrategy"),
        ("defaultUpperBoundTracesPerSecond", "double"),
    ),
    "SamplingStrategyResponse": (
        ("strategyType", "SamplingStrategyType"),
        ("probabilisticSampling", "ProbabilisticSamplingStrategy"),
        ("rateLimitingSampling", "RateLimitingSamplingStrategy"),
        ("operationSampling", "PerOperationSamplingStrategies"),
    ),
}
"""Name → names and types of its fields, which are numbered from 1."""
_TYPES: Final = ("PROBABILISTIC", "RATE_LIMITING")


def asked_service(request: bytes) -> str:
    """The service of which a `SamplingStrategyParameters` asks.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    name: str = _PARAMETERS.FromString(request).serviceName
    return name


def strategy_message(strategy: Strategy) -> bytes:
    """A strategy as `SamplingStrategyResponse`."""
    return bytes(ParseDict(dict(strategy), _RESPONSE()).SerializeToString())


def _classes() -> Mapping[str, Any]:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="jaeger/api_v2/sampling.proto", package=_PACKAGE, syntax="proto3")
    kinds = file.enum_type.add(name="SamplingStrategyType")
    for number, name in enumerate(_TYPES):
        kinds.value.add(name=name, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field_name, kind) in enumerate(fields, 1):
            is_repeated, kind = kind.startswith("repeated "), kind.removeprefix("repeated ")
            made = message.field.add(name=field_name, number=number, json_name=field_name)
            made.label = field.LABEL_REPEATED if is_repeated else field.LABEL_OPTIONAL
            if kind[0].isupper():
                made.type = field.TYPE_MESSAGE if kind in _MESSAGES else field.TYPE_ENUM
                made.type_name = f".{_PACKAGE}.{kind}"
            else:
                made.type = field.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_CLASSES: Final = _classes()
_PARAMETERS: Final = _CLASSES["SamplingStrategyParameters"]
_RESPONSE: Final = _CLASSES["SamplingStrategyResponse"]
