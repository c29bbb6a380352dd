"""OTLP/JSON of a request: protobuf's JSON with ids in hexadecimal and enumerations as numbers.

Ordinary Python, a span at a time, for people and for the few peers that take nothing else.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


def to_json(request: bytes) -> bytes:
    """An ExportTraceServiceRequest as OTLP/JSON. Raises as `to_document`."""
    return orjson.dumps(to_document(request))


def to_document(request: bytes) -> Any:
    """The same as what JSON is made of.

    Raises:
        google.protobuf.message.DecodeError: the bytes are none, for the protobuf library.
    """
    return _with_hexadecimal_ids(MessageToDict(ExportTraceServiceRequest.FromString(request), use_integers_for_enums=True))


def _with_hexadecimal_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hexadecimal_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            name: base64.b64decode(item).hex() if name in _IDS and isinstance(item, str) else _with_hexadecimal_ids(item)
            for name, item in value.items()
        }
    return value
