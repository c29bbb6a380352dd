"""Runs the conversion of JSON to protobuf: memory for its kernel, what that cannot decide, and where it stands when it stops."""

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

_SHOWN_NAME_BYTES: Final = 40


@dataclass(frozen=True, slots=True)
class Form:
    """What a text must be.

    Attributes:
        what: a name for it, with its article.
        shape: what it must begin like, in words.
        opening: finds where that begins: its last byte is the brace or bracket.
        root: the kind of the object, or of the objects in the array.
        root_key: the wire key of the objects in the array.
    """

    what: str
    shape: str
    opening: re.Pattern[bytes]
    root: int
    root_key: int = 0


@dataclass(frozen=True, slots=True)
class Conversion:
    """A text in protobuf.

    Attributes:
        protobuf: the messages, at most three times as long as the text.
        refusal: path of the first value for which a span is refused, and what is wrong with it; else empty.
        refused_spans: how many are.
        has_old_library_spans: whether there were spans under a name that OTLP has given up.
    """

    protobuf: bytes
    refusal: str
    refused_spans: int
    has_old_library_spans: bool


def convert_json(body: bytes, form: Form) -> Conversion:
    """Convert a text of a form. Releases the GIL.

    Raises:
        MalformedRequest: the body is not JSON, or not of this form, or nested more than MAX_DEPTH deep.
    """
    opening = form.opening.match(body)
    if opening is None:
        raise MalformedRequest(f"not {form.what}: it must be {form.shape}", "byte 0")
    data = np.frombuffer(body, np.uint8, offset=opening.end() - 1)
    out = np.empty(3 * data.size + SLACK, np.uint8)
    frames = np.empty((MAX_DEPTH, FRAME_SIZE), np.int64)
    state = np.zeros(STATE_SIZE, np.int64)
    refusal = ""
    while True:
        try:
            convert(data, out, frames, state, form.root, form.root_key)
        except (ValueError, IndexError) as error:
            reason = str(error) if isinstance(error, ValueError) else "the text ends too early"
            position = f"byte {opening.end() - 1 + state[POSITION]}"
            path = _path(data, frames, state)
            raise MalformedRequest(f"not {form.what}: {reason}, at {position}", path or position) from None
        if state[PAUSE] == RUNNING:
            break
        if state[PAUSE] == FIRST_REFUSAL:
            refusal = f"{_path(data, frames, state)} {REFUSALS[state[REASON]]}"
        else:
            number = out[state[NUMBER_START] : state[NUMBER_END]].tobytes()
            out[state[WRITTEN] - 8 : state[WRITTEN]] = np.frombuffer(struct.pack("<d", float(number)), np.uint8)
    return Conversion(
        out[: state[WRITTEN]].tobytes(), refusal, int(state[REFUSED_SPANS]), has_old_library_spans=bool(state[OLD_LIBRARY_SPANS])
    )


def refusal_warning(refusal: str, refused_spans: int) -> str:
    """What is told of spans that are refused, of which the first for `refusal`."""
    others = refused_spans - 1
    return f"{refusal}: its span is refused" + (f", and {others} more for like reasons" if others else "")


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
