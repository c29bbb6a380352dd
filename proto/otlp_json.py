"""OTLP/JSON trace requests as protobuf bytes, without a Python object per span, attribute or string.

The JSON is that of receiver contract JSON-01 to JSON-21. What proto3 JSON leaves open is decided so:

- Keys are known in lowerCamelCase and in snake_case; unknown keys are skipped with all that is in them.
- Of a key that is given twice, protobuf's rules hold: the last scalar wins, the last of different members of an AnyValue wins,
  messages are merged, and lists are joined. A `null` is no value and takes none back.
- A span whose values have the right shape but cannot be is refused alone: an id that is not hexadecimal digits of the right
  number, a negative time, an unknown name of an enum's value, a number that is not of 32 bits, bytes that are not base64. It then
  gets an id of one byte, so that the decoder of protobuf refuses it: the id that is wrong where it is the span's own, else the
  trace id. The first of them is described among the warnings. Outside of spans such values refuse the request.
- An `intValue` outside of 64 bits becomes a double. A double that is too large becomes infinite, as in `float`.
- Broken UTF-8 and lone surrogates become U+FFFD.
"""

from __future__ import annotations

import re
from typing import Final

from proto.converted import ConvertedRequest
from proto.json_conversion import Form, convert_json, refusal_warning
from proto.json_fields import REQUEST

OLD_LIBRARY_WARNING: Final = (
    "instrumentationLibrarySpans was ignored: OTLP has named it scopeSpans since version 0.15; update the sending exporter"
)

_FORM: Final = Form("a valid OTLP/JSON trace request", "a JSON object", re.compile(rb"[ \t\r\n]*\{"), REQUEST)


def json_to_protobuf(body: bytes) -> ConvertedRequest:
    """Convert an ExportTraceServiceRequest from JSON to protobuf, which is at most three times as long. Releases the GIL.

    Raises:
        MalformedRequest: the body is not JSON, or not of a trace request's shape, or nested more than MAX_DEPTH deep.
    """
    converted = convert_json(body, _FORM)
    warnings = []
    if converted.refusal:
        warnings.append(refusal_warning(converted.refusal, converted.refused_spans))
    if converted.has_old_library_spans:
        warnings.append(OLD_LIBRARY_WARNING)
    return ConvertedRequest(converted.protobuf, tuple(warnings))
