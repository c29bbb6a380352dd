"""Zipkin's spans of version 2, in JSON or protobuf, as OTLP's, without a Python object per span, tag or string.

What one has no place for and the other has is decided as in OpenTelemetry's exporters to Zipkin, the other way round:

- Ids of 64 bits get zeros in front. A parent id that is zero, or the span's own, is none.
- Times are microseconds. A span without a timestamp begins with its first annotation.
- A span without a kind is internal. `shared` and `debug` are not kept; spans that share their id are told apart by their kind.
- The name of the local endpoint becomes `service.name` of the resource, unless a tag of that name has it; tags that the semantic
  conventions have for resources (`service.*`, `host.*`, `k8s.*`, ...) go to the resource too.
- The tags `otel.scope.name` and `otel.scope.version` (or `otel.library.*`) become the scope, `w3c.tracestate` the trace state,
  `otel.status_code` and `otel.status_description` the status. The tag `error` makes a failure, unless its value is `false` or
  `otel.status_code` says otherwise; a value other than `true` is the message.
- All other tags become attributes of the span, with texts; annotations become events.
- The remote endpoint becomes `peer.service`, `network.peer.address` and `network.peer.port`, the address and port of the local
  endpoint `network.local.address` and `network.local.port`, each unless a tag has it.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from proto.addresses import LONGEST_ADDRESS
from proto.converted import ConvertedRequest
from proto.errors import MalformedRequest
from proto.json_conversion import Form, convert_json, refusal_warning
from proto.json_fields import ZIPKIN_SPAN
from proto.zipkin_fields import NUMBERS, PLACES, REASONS
from proto.zipkin_kernels import FIRST_REFUSED, REASON, REFUSED_SPANS, SPANS, STATE_SIZE, convert_spans

MOST_GROWTH: Final = 6
"""How many times as long as a list, at most, the request that it becomes is; usually it is a tenth longer."""

_FORM: Final = Form("a valid list of Zipkin spans", "a JSON array", re.compile(rb"[ \t\r\n]*\["), ZIPKIN_SPAN, 0x0A)
_SLACK: Final = 1024


def zipkin_json_to_otlp(body: bytes) -> ConvertedRequest:
    """Convert a JSON array of spans. Releases the GIL.

    Raises:
        MalformedRequest: the body is not JSON, or not an array of what can be spans.
    """
    converted = convert_json(body, _FORM)
    return _converted(converted.protobuf, converted.refusal, addresses_are_text=True)


def zipkin_protobuf_to_otlp(body: bytes) -> ConvertedRequest:
    """Convert a ListOfSpans of zipkin.proto3. Releases the GIL.

    Raises:
        MalformedRequest: the bytes are not a list of spans.
    """
    return _converted(body, "", addresses_are_text=False)


def _converted(spans: bytes, refusal: str, *, addresses_are_text: bool) -> ConvertedRequest:
    data = np.frombuffer(spans, np.uint8)
    out = np.empty(MOST_GROWTH * data.size + _SLACK, np.uint8)
    state = np.zeros(STATE_SIZE, np.int64)
    places, numbers, endpoint = np.empty((PLACES, 2), np.int64), np.empty(NUMBERS, np.int64), np.empty((3, 2), np.int64)
    try:
        size = convert_spans(data, out, places, numbers, endpoint, np.empty(LONGEST_ADDRESS, np.uint8), state, addresses_are_text)
    except (ValueError, IndexError) as error:
        raise MalformedRequest(f"not a valid list of Zipkin spans: {error}", f"spans[{max(state[SPANS] - 1, 0)}]") from None
    refused = int(state[REFUSED_SPANS])
    request = out[:size].tobytes()
    if not refused:
        return ConvertedRequest(request)
    first = refusal or f"[{state[FIRST_REFUSED]}].{REASONS[state[REASON]]}"
    return ConvertedRequest(request, (refusal_warning(first, refused),))
