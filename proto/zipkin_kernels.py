"""Zipkin's ListOfSpans as an ExportTraceServiceRequest: kernels that write a span's fields in OTLP's form.

A span is passed over three times: to find its fields (`read_span`), for its resource (`write_head`), and to be written. Zipkin
has no resources: spans whose heads come out alike, byte for byte, and that follow each other, share one.

`out` (uint8) is written from front to back, at the position `at`; writers return the position after what they wrote.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.addresses import write_ipv4, write_ipv6
from proto.json_values import PADDED_LENGTH
from proto.json_values import write_length as end_message
from proto.kernel import kernel
from proto.native_kernels import write_length
from proto.otlp_encode_kernels import message_size, text_size, varint_size, write_number, write_text, write_time, write_varint
from proto.wire import LENGTH_DELIMITED, next_field
from proto.words import copy, is_equal, is_zero
from proto.zipkin_fields import (
    ABSENT,
    ERROR,
    ID,
    IPV4,
    IPV6,
    KEY_LENGTHS,
    KEY_STARTS,
    KEYS,
    KIND,
    KNOWN,
    LENGTH_OF_TIME,
    LIBRARY_NAME,
    LIBRARY_VERSION,
    LOCAL,
    LOCAL_ADDRESS,
    LOCAL_PORT,
    NAME,
    PARENT_ID,
    PEER_ADDRESS,
    PEER_PORT,
    PEER_SERVICE,
    REMOTE,
    SCOPE_NAME,
    SCOPE_VERSION,
    SERVICE,
    SERVICE_NAME,
    STATUS,
    STATUS_DESCRIPTION,
    STATUS_ERROR,
    TIME_REASON,
    TIMESTAMP,
    TRACE_ID,
    TRACE_STATE,
    TRUE,
    is_of_resource,
    is_word,
    known_tag,
    read_annotation,
    read_endpoint,
    read_pair,
    read_span,
)

# `state` of a list.
SPANS = 0  # begun so far
REFUSED_SPANS = 1
FIRST_REFUSED = 2  # its index
REASON = 3  # why that one is
STATE_SIZE: Final = 4

# Zipkin's kinds in OTLP: what has none is internal.
_KINDS: Final = np.array([1, 3, 2, 4, 5], np.int64)


@kernel
def write_attribute(out, at, wire_key, keys, key, key_length, data, start, length):
    """A KeyValue with a text."""
    out[at] = wire_key
    at = write_length(out, at + 1, text_size(key_length) + message_size(message_size(length)))
    at = write_text(out, at, 0x0A, keys, key, key_length)
    out[at] = 0x12
    at = write_length(out, at + 1, message_size(length))
    out[at] = 0x0A
    at = write_length(out, at + 1, length)
    return copy(out, at, data, start, length)


@kernel
def write_port(out, at, tag, port):
    """An attribute of a span with a whole number, if that is not 0, under the key of a known tag."""
    if port == 0:
        return at
    size = 1 + varint_size(port)
    out[at] = 0x4A
    at = write_length(out, at + 1, text_size(KEY_LENGTHS[tag]) + message_size(size))
    at = write_text(out, at, 0x0A, KEYS, KEY_STARTS[tag], KEY_LENGTHS[tag])
    out[at] = 0x12
    out[at + 1] = size
    out[at + 2] = 0x18
    return write_varint(out, at + 3, port)


@kernel
def write_address(out, at, tag, data, endpoint, scratch, addresses_are_text):
    """An endpoint's address as an attribute of the span under the key of a known tag: that of IPv4, else that of IPv6."""
    key, key_length = KEY_STARTS[tag], KEY_LENGTHS[tag]
    if addresses_are_text:
        place = IPV4 if endpoint[IPV4, 1] else IPV6
        if endpoint[place, 1] == 0:
            return at
        return write_attribute(out, at, 0x4A, KEYS, key, key_length, data, endpoint[place, 0], endpoint[place, 1])
    if endpoint[IPV4, 1] == 4:
        length = write_ipv4(scratch, data, endpoint[IPV4, 0])
    elif endpoint[IPV6, 1] == 16:
        length = write_ipv6(scratch, data, endpoint[IPV6, 0])
    else:
        return at
    return write_attribute(out, at, 0x4A, KEYS, key, key_length, scratch, 0, length)


@kernel
def write_head(out, at, data, start, end, places, endpoint):
    """Begin a ResourceSpans and a ScopeSpans for a span, with room for their lengths.

    Returns (where the content of the ScopeSpans begins, position after its head).
    """
    out[at] = 0x0A
    out[at + 1 : at + 1 + PADDED_LENGTH] = 0
    at += 1 + PADDED_LENGTH
    out[at] = 0x0A
    resource = at + 2
    at = resource
    read_endpoint(data, places, LOCAL, endpoint)
    # The tag has the name as the service has it, an endpoint has it in lower case.
    name, length = places[SERVICE_NAME, 0], places[SERVICE_NAME, 1]
    if length == 0:
        name, length = endpoint[SERVICE, 0], endpoint[SERVICE, 1]
    if length:
        key = KEY_STARTS[SERVICE_NAME]
        at = write_attribute(out, at, 0x0A, KEYS, key, KEY_LENGTHS[SERVICE_NAME], data, name, length)
    while start < end:
        field, wire_type, value, start = next_field(data, start, end)
        if field == 11 and wire_type == LENGTH_DELIMITED:
            key, key_length, text, length = read_pair(data, start - value, start)
            if is_of_resource(data, key, key_length) and known_tag(data, key, key_length) == ABSENT:
                at = write_attribute(out, at, 0x0A, data, key, key_length, data, text, length)
    at = end_message(out, resource, at, 1)
    out[at] = 0x12
    out[at + 1 : at + 1 + PADDED_LENGTH] = 0
    at += 1 + PADDED_LENGTH
    spans = at
    scope_name = SCOPE_NAME if places[SCOPE_NAME, 1] else LIBRARY_NAME
    version = SCOPE_VERSION if places[SCOPE_VERSION, 1] else LIBRARY_VERSION
    size = text_size(places[scope_name, 1]) + text_size(places[version, 1])
    if size:
        out[at] = 0x0A
        at = write_length(out, at + 1, size)
        at = write_text(out, at, 0x0A, data, places[scope_name, 0], places[scope_name, 1])
        at = write_text(out, at, 0x12, data, places[version, 0], places[version, 1])
    return spans, at


@kernel
def write_id(out, at, wire_key, data, places, place, size):
    """An id of `size` bytes, with zeros in front of one that has half of them; any other as one byte, for which it is refused."""
    length = places[place, 1]
    if length == 0:
        return at
    out[at] = wire_key
    if length != size and not (length == 8 and size == 16):
        out[at + 1] = 1
        out[at + 2] = 0
        return at + 3
    out[at + 1] = size
    at += 2
    out[at : at + size - length] = 0
    return copy(out, at + size - length, data, places[place, 0], length)


@kernel
def write_ids(out, at, data, places):
    at = write_id(out, at, 0x0A, data, places, TRACE_ID, 16)
    at = write_id(out, at, 0x12, data, places, ID, 8)
    # Zipkin takes what is its own parent for a root.
    if places[PARENT_ID, 1] == 8:
        parent, own = places[PARENT_ID, 0], places[ID, 0]
        if is_zero(data, parent, 8) or (places[ID, 1] == 8 and is_equal(data, parent, own, 8)):
            return at
    return write_id(out, at, 0x22, data, places, PARENT_ID, 8)


@kernel
def write_status(out, at, data, places, status):
    """The status, and of a failure the message."""
    if status == 0:
        return at
    place = STATUS_DESCRIPTION
    if places[place, 0] == ABSENT and not is_word(data, places, ERROR, TRUE):
        place = ERROR
    length = places[place, 1] if status == STATUS_ERROR else 0
    out[at] = 0x7A
    at = write_length(out, at + 1, text_size(length) + 2)
    at = write_text(out, at, 0x12, data, places[place, 0], length)
    return write_number(out, at, 0x18, status)


@kernel
def is_attribute(tag, status):
    """Whether a tag stays an attribute of its span: not where OTLP has a field for what it says."""
    if tag == ERROR or tag == STATUS_DESCRIPTION:
        return status != STATUS_ERROR
    return tag == ABSENT or tag > SERVICE_NAME


@kernel
def write_span(out, at, data, start, end, places, numbers, endpoint, scratch, addresses_are_text):
    """A span without its key and length."""
    at = write_ids(out, at, data, places)
    at = write_text(out, at, 0x1A, data, places[TRACE_STATE, 0], places[TRACE_STATE, 1])
    at = write_text(out, at, 0x2A, data, places[NAME, 0], places[NAME, 1])
    at = write_number(out, at, 0x30, _KINDS[numbers[KIND]])
    begin = np.uint64(numbers[TIMESTAMP]) * np.uint64(1000)
    at = write_time(out, at, 0x39, begin)
    at = write_time(out, at, 0x41, begin + np.uint64(numbers[LENGTH_OF_TIME]) * np.uint64(1000))
    position = start
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if wire_type != LENGTH_DELIMITED:
            continue
        if field == 11:
            key, key_length, text, length = read_pair(data, position - value, position)
            tag = known_tag(data, key, key_length)
            if tag != ABSENT:
                if is_attribute(tag, numbers[STATUS]):
                    at = write_attribute(out, at, 0x4A, data, key, key_length, data, text, length)
            elif not is_of_resource(data, key, key_length):
                at = write_attribute(out, at, 0x4A, data, key, key_length, data, text, length)
        elif field == 10:
            time, text, length = read_annotation(data, position - value, position)
            out[at] = 0x5A
            at = write_length(out, at + 1, (9 if time else 0) + text_size(length))
            at = write_time(out, at, 0x09, np.uint64(time) * np.uint64(1000))
            at = write_text(out, at, 0x12, data, text, length)
    port = read_endpoint(data, places, REMOTE, endpoint)
    if places[PEER_SERVICE, 0] == ABSENT and endpoint[SERVICE, 1]:
        key, key_length = KEY_STARTS[PEER_SERVICE], KEY_LENGTHS[PEER_SERVICE]
        at = write_attribute(out, at, 0x4A, KEYS, key, key_length, data, endpoint[SERVICE, 0], endpoint[SERVICE, 1])
    if places[PEER_ADDRESS, 0] == ABSENT:
        at = write_address(out, at, PEER_ADDRESS, data, endpoint, scratch, addresses_are_text)
    if places[PEER_PORT, 0] == ABSENT:
        at = write_port(out, at, PEER_PORT, port)
    port = read_endpoint(data, places, LOCAL, endpoint)
    if places[LOCAL_ADDRESS, 0] == ABSENT:
        at = write_address(out, at, LOCAL_ADDRESS, data, endpoint, scratch, addresses_are_text)
    if places[LOCAL_PORT, 0] == ABSENT:
        at = write_port(out, at, LOCAL_PORT, port)
    return write_status(out, at, data, places, numbers[STATUS])


@kernel
def end_group(out, group, spans, at):
    """Write the lengths of a ResourceSpans that begins at `group`, and of the ScopeSpans in it whose content does at `spans`."""
    end_message(out, spans, at, PADDED_LENGTH)
    end_message(out, group + 1 + PADDED_LENGTH, at, PADDED_LENGTH)


@kernel
def convert_spans(data, out, places, numbers, endpoint, scratch, state, addresses_are_text):
    """Convert a whole list to `out` (uint8), which has room for it; returns the position after what is written.

    A span that is refused is written with an id that is none, for which the decoder of OTLP refuses and counts it. `scratch`
    (uint8) has room for an address.
    """
    at = position = group = spans = head = 0
    while position < data.size:
        field, wire_type, value, position = next_field(data, position, data.size)
        if field != 1 or wire_type != LENGTH_DELIMITED:
            continue
        state[SPANS] += 1
        start = position - value
        reason = read_span(data, start, position, places, numbers)
        if reason:
            if state[REFUSED_SPANS] == 0:
                state[FIRST_REFUSED] = state[SPANS] - 1
                state[REASON] = reason
            state[REFUSED_SPANS] += 1
            if reason == TIME_REASON:
                places[TRACE_ID, 1] = 1
        if head == 0 or not reason:
            if reason:
                # It has no part in a resource.
                places[:KNOWN, 1] = 0
                places[LOCAL, 0] = ABSENT
                new_spans, after = write_head(out, at, data, start, start, places, endpoint)
            else:
                new_spans, after = write_head(out, at, data, start, position, places, endpoint)
            if head == 0 or after - at != head or not is_equal(out, group, at, head):
                if head:
                    end_group(out, group, spans, at)
                group, spans, head = at, new_spans, after - at
                at = after
        out[at] = 0x12
        content = at + 2
        if reason:
            after = write_ids(out, content, data, places)
        else:
            after = write_span(out, content, data, start, position, places, numbers, endpoint, scratch, addresses_are_text)
        at = end_message(out, content, after, 1)
    if head:
        end_group(out, group, spans, at)
    return at
