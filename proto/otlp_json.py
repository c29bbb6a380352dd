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
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.errors import MalformedRequest
from proto.json_convert import (
    FRAME_SIZE,
    IS_ARRAY,
    MAX_DEPTH,
    MEMBERS,
    NAME_END,
    NAME_START,
    SLACK,
    convert,
)
from proto.json_values import (
    DEPTH,
    FIRST_REFUSAL,
    NUMBER_END,
    NUMBER_START,
    OLD_LIBRARY_SPANS,
    PAUSE,
    POSITION,
    REASON,
    REFUSALS,
    REFUSED_SPANS,
    RUNNING,
    STATE_SIZE,
    WRITTEN,
)

OLD_LIBRARY_WARNING: Final = (
    "instrumentationLibrarySpans was ignored: OTLP has named it scopeSpans since version 0.15; update the sending exporter"
)

_OPENING: Final = re.compile(rb"[ \t\r\n]*\{")
_SHOWN_NAME_BYTES: Final = 40


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """A request in protobuf.

    Attributes:
        protobuf: an ExportTraceServiceRequest, at most three times as long as the JSON text.
        warnings: what the sending service's developers should know though the request is accepted.
    """

    protobuf: bytes
    warnings: tuple[str, ...]


def json_to_protobuf(body: bytes) -> JsonRequest:
    """Convert an ExportTraceServiceRequest from JSON to protobuf. Releases the GIL.

    Raises:
        MalformedRequest: the body is not JSON, or not of a trace request's shape, or nested more than MAX_DEPTH deep.
    """
    opening = _OPENING.match(body)
    if opening is None:
        raise MalformedRequest("not a valid OTLP/JSON trace request: it must be a JSON object", "byte 0")
    data = np.frombuffer(body, np.uint8, offset=opening.end() - 1)
    out = np.empty(3 * data.size + SLACK, np.uint8)
    frames = np.empty((MAX_DEPTH, FRAME_SIZE), np.int64)
    state = np.zeros(STATE_SIZE, np.int64)
    refusal = ""
    while True:
        try:
            convert(data, out, frames, state)
        except (ValueError, IndexError) as error:
            reason = str(error) if isinstance(error, ValueError) else "the text ends too early"
            position = f"byte {opening.end() - 1 + state[POSITION]}"
            path = _path(data, frames, state)
            raise MalformedRequest(f"not a valid OTLP/JSON trace request: {reason}, at {position}", path or position) from None
        if state[PAUSE] == RUNNING:
            break
        if state[PAUSE] == FIRST_REFUSAL:
            refusal = f"{_path(data, frames, state)} {REFUSALS[state[REASON]]}"
        else:
            number = out[state[NUMBER_START] : state[NUMBER_END]].tobytes()
            out[state[WRITTEN] - 8 : state[WRITTEN]] = np.frombuffer(struct.pack("<d", float(number)), np.uint8)
    return JsonRequest(out[: state[WRITTEN]].tobytes(), _warnings(state, refusal))


def _warnings(state: NDArray[np.int64], refusal: str) -> tuple[str, ...]:
    warnings = []
    if refusal:
        others = int(state[REFUSED_SPANS]) - 1
        warnings.append(f"{refusal}: its span is refused" + (f", and {others} more for like reasons" if others else ""))
    if state[OLD_LIBRARY_SPANS]:
        warnings.append(OLD_LIBRARY_WARNING)
    return tuple(warnings)


def _path(data: NDArray[np.uint8], frames: NDArray[Any], state: NDArray[np.int64]) -> str:
    """Where the conversion stands, as `resourceSpans[0].scopeSpans[0].spans[3].kind`; empty before the first key."""
    path = ""
    for frame in frames[: state[DEPTH] + 1]:
        if not frame[MEMBERS]:
            break
        if frame[IS_ARRAY]:
            path += f"[{frame[MEMBERS] - 1}]"
        else:
            name = data[frame[NAME_START] : min(frame[NAME_END], frame[NAME_START] + _SHOWN_NAME_BYTES)]
            path += f".{name.tobytes().decode(errors='replace')}"
    return path.removeprefix(".")
