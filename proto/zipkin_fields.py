"""What a span of Zipkin's protobuf consists of: kernels that find its fields, and the tags that say something of their own.

Arrays that these kernels and those that write share: `data` (uint8) are the bytes of a ListOfSpans, `places` (int64, shape
(PLACES, 2)) where a span's texts and messages begin in it and how long they are, `numbers` (int64) its numbers. A place that
begins at ABSENT is not there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from proto.kernel import kernel
from proto.wire import FIXED64, LENGTH_DELIMITED, VARINT, next_field, read_signed64
from proto.words import is_zero

_KNOWN_KEYS: Final = (
    b"otel.status_code",
    b"otel.status_description",
    b"error",
    b"otel.scope.name",
    b"otel.library.name",
    b"otel.scope.version",
    b"otel.library.version",
    b"w3c.tracestate",
    b"service.name",
    b"peer.service",
    b"network.peer.address",
    b"network.peer.port",
    b"network.local.address",
    b"network.local.port",
)
KNOWN: Final = len(_KNOWN_KEYS)
STATUS_CODE, STATUS_DESCRIPTION, ERROR, SCOPE_NAME, LIBRARY_NAME, SCOPE_VERSION, LIBRARY_VERSION = range(7)
TRACE_STATE, SERVICE_NAME, PEER_SERVICE, PEER_ADDRESS, PEER_PORT, LOCAL_ADDRESS, LOCAL_PORT = range(7, KNOWN)
# Places of a span beside those of the values of known tags.
TRACE_ID, PARENT_ID, ID, NAME, LOCAL, REMOTE = range(KNOWN, KNOWN + 6)
PLACES: Final = KNOWN + 6
# ... and of an endpoint.
SERVICE, IPV4, IPV6 = range(3)
ABSENT: Final = -1

# `numbers` of a span. Times are in microseconds.
KIND, TIMESTAMP, LENGTH_OF_TIME, FIRST_ANNOTATION, STATUS = range(5)
NUMBERS: Final = 5

REASONS: Final = (
    "",
    "traceId is not an id of 8 or 16 bytes that are not all zero",
    "id is not an id of 8 bytes that are not all zero",
    "parentId is not an id of 8 bytes",
    "timestamp, duration or an annotation is beyond the times that nanoseconds of 64 bits reach",
)
_TRACE_ID_REASON, _ID_REASON, _PARENT_ID_REASON, TIME_REASON = 1, 2, 3, 4

_MOST_MICROSECONDS: Final = (2**64 - 1) // 1000
STATUS_OK, STATUS_ERROR = 1, 2


def _joined(texts: tuple[bytes, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Texts behind each other, where each begins, and how long it is."""
    lengths = np.array([len(text) for text in texts], np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), np.cumsum(lengths) - lengths, lengths


KEYS, KEY_STARTS, KEY_LENGTHS = _joined(_KNOWN_KEYS)

_PREFIXES, _PREFIX_STARTS, _PREFIX_LENGTHS = _joined(
    (
        b"service.",
        b"telemetry.",
        b"host.",
        b"process.",
        b"k8s.",
        b"cloud.",
        b"container.",
        b"deployment.",
        b"os.",
        b"device.",
        b"webengine.",
    )
)
"""What the keys of attributes begin with that the semantic conventions have for resources."""

_WORDS, _WORD_STARTS, _WORD_LENGTHS = _joined((b"OK", b"ERROR", b"UNSET", b"true", b"false"))
_OK, _ERROR, _UNSET, TRUE, _FALSE = range(5)


@kernel
def begins_with(data, start, length, texts, text, text_length):
    if text_length > length:
        return False
    for index in range(text_length):
        if data[start + index] != texts[text + index]:
            return False
    return True


@kernel
def is_word(data, places, place, word):
    """Whether a tag has one of _WORDS as its value."""
    return places[place, 1] == _WORD_LENGTHS[word] and begins_with(
        data, places[place, 0], places[place, 1], _WORDS, _WORD_STARTS[word], _WORD_LENGTHS[word]
    )


@kernel
def known_tag(data, start, length):
    """Which of the known tags has this key, or ABSENT."""
    for tag in range(KNOWN):
        if KEY_LENGTHS[tag] == length and begins_with(data, start, length, KEYS, KEY_STARTS[tag], length):
            return tag
    return ABSENT


@kernel
def is_of_resource(data, start, length):
    for prefix in range(_PREFIX_LENGTHS.size):
        if begins_with(data, start, length, _PREFIXES, _PREFIX_STARTS[prefix], _PREFIX_LENGTHS[prefix]):
            return True
    return False


# Reading.


@kernel
def read_pair(data, position, end):
    """The first two texts of a message, such as the key and value of a tag: (start, length, start, length)."""
    first = second = position
    first_length = second_length = 0
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED and field == 1:
            first = position - value
            first_length = value
        elif wire_type == LENGTH_DELIMITED and field == 2:
            second = position - value
            second_length = value
    return first, first_length, second, second_length


@kernel
def read_annotation(data, position, end):
    """The time of an annotation in microseconds, and where its text stands: (time, start, length)."""
    time = 0
    start = position
    length = 0
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if field == 1 and wire_type == FIXED64:
            time = read_signed64(data, position - 8)
        elif field == 2 and wire_type == LENGTH_DELIMITED:
            start = position - value
            length = value
    return time, start, length


@kernel
def read_endpoint(data, places, place, endpoint):
    """The places of an endpoint's texts to `endpoint` (int64, shape (3, 2)); returns its port, 0 for none."""
    endpoint[:, :] = 0
    port = 0
    position = places[place, 0]
    if position == ABSENT:
        return port
    end = position + places[place, 1]
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED and 1 <= field <= 3:
            endpoint[field - 1, 0] = position - value
            endpoint[field - 1, 1] = value
        elif wire_type == VARINT and field == 4:
            port = value & 0xFFFF
    return port


@kernel
def read_span(data, position, end, places, numbers):
    """Find all that a span consists of; returns why it is refused, an index of REASONS, or 0."""
    places[:, 0] = ABSENT
    places[:, 1] = 0
    numbers[:] = 0
    beyond = False
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            start = position - value
            if field == 10:
                time, _, _ = read_annotation(data, start, position)
                beyond |= time < 0 or time > _MOST_MICROSECONDS
                if time and (numbers[FIRST_ANNOTATION] == 0 or time < numbers[FIRST_ANNOTATION]):
                    numbers[FIRST_ANNOTATION] = time
                continue
            place = ABSENT
            if field == 11:
                key, length, start, value = read_pair(data, start, position)
                place = known_tag(data, key, length)
            elif field <= 3:
                place = TRACE_ID + field - 1
            elif field == 5:
                place = NAME
            elif field == 8 or field == 9:
                place = LOCAL + field - 8
            if place != ABSENT:
                places[place, 0] = start
                places[place, 1] = value
        elif field == 4 and wire_type == VARINT:
            numbers[KIND] = value if 0 < value < 5 else 0
        elif field == 6 and wire_type == FIXED64:
            numbers[TIMESTAMP] = read_signed64(data, position - 8)
        elif field == 7 and wire_type == VARINT:
            numbers[LENGTH_OF_TIME] = value
    if not numbers[TIMESTAMP]:
        numbers[TIMESTAMP] = numbers[FIRST_ANNOTATION]
    numbers[STATUS] = status_of(data, places)
    if not is_id(data, places, TRACE_ID):
        return _TRACE_ID_REASON
    if not is_id(data, places, ID):
        return _ID_REASON
    if places[PARENT_ID, 1] != 8 and places[PARENT_ID, 1] != 0:
        return _PARENT_ID_REASON
    time, duration = numbers[TIMESTAMP], numbers[LENGTH_OF_TIME]
    if beyond or time < 0 or duration < 0 or time > _MOST_MICROSECONDS or duration > _MOST_MICROSECONDS - time:
        return TIME_REASON
    return 0


@kernel
def is_id(data, places, place):
    length = places[place, 1]
    return (length == 8 or (length == 16 and place == TRACE_ID)) and not is_zero(data, places[place, 0], length)


@kernel
def status_of(data, places):
    """OTLP's status: what `otel.status_code` says, else an error where there is the tag `error`."""
    if is_word(data, places, STATUS_CODE, _OK):
        return STATUS_OK
    if is_word(data, places, STATUS_CODE, _ERROR) or (
        places[ERROR, 0] != ABSENT and not is_word(data, places, ERROR, _FALSE) and not is_word(data, places, STATUS_CODE, _UNSET)
    ):
        return STATUS_ERROR
    return 0
