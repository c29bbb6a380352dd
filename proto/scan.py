"""The scan of a trace request: kernels that walk the messages and fill the tables of a SpanBatch.

Each function reads one kind of message, data[position:end], into the tables and counts its rows in `state`. When a table has
no room left, a function returns that table's number, and the caller grows it and scans again; `OK` means that all went well.
"""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.spans import ABSENT, ARRAY, BOOL, BYTES, DOUBLE, EMPTY, INT, KVLIST, STRING
from proto.utf8 import is_utf8
from proto.wire import (
    FIXED32,
    FIXED64,
    LENGTH_DELIMITED,
    VARINT,
    as_signed32,
    next_field,
    read_field,
    read_signed64,
    read_unsigned32,
    read_unsigned64,
)

TABLES = ("resources", "scopes", "spans", "events", "links", "attributes")
RESOURCES, SCOPES, SPANS, EVENTS, LINKS, ATTRIBUTES = range(6)
OK = -1
ANY_VALUE = 0
KEY_VALUE = -1

# `state` (int64) holds the rows used of each table, then ...
AT_RESOURCE_SPANS, AT_SCOPE_SPANS, AT_SPAN = 6, 7, 8  # where the scan is, counted from one
INVALID_UTF8 = 9  # whether any text is broken
REJECTED = 10  # refused spans, by reason
TRACE_ID_LENGTH, TRACE_ID_ZERO, SPAN_ID_LENGTH, SPAN_ID_ZERO, PARENT_SPAN_ID_LENGTH = range(5)
NOT_REJECTED = -1
REJECTED_PATH = 16  # laid out like `state` itself: AT_... of the first refused span
MAX_VALUE_DEPTH = 64  # levels of AnyValue; protobuf's own parsers stop at about 47
MAX_MESSAGE_DEPTH = 3 * MAX_VALUE_DEPTH  # AnyValue > KeyValueList > KeyValue
ENDS = REJECTED_PATH + 9  # stack of the messages that a nested value consists of: their ends ...
MESSAGES = ENDS + MAX_MESSAGE_DEPTH  # ... and what they are
STATE_SIZE = MESSAGES + MAX_MESSAGE_DEPTH

SERVICE_NAME = np.frombuffer(b"service.name", np.uint8)


@kernel
def scan_request(data, resources, scopes, spans, events, links, attributes, state):
    """Fill the tables from a whole request. Returns OK, or the number of the table that is full."""
    position = 0
    while position < data.size:
        field, wire_type, length, position = next_field(data, position, data.size)
        if field == 1 and wire_type == LENGTH_DELIMITED:
            state[AT_RESOURCE_SPANS] += 1
            full = scan_resource_spans(
                data, position - length, position, resources, scopes, spans, events, links, attributes, state
            )
            if full != OK:
                return full
    return OK


@kernel
def scan_resource_spans(data, start, end, resources, scopes, spans, events, links, attributes, state):
    row = state[RESOURCES]
    if row == resources.size:
        return RESOURCES
    state[RESOURCES] = row + 1
    resource = resources[row]
    resource.workspace = 0
    resource.service_name = ABSENT
    resource.schema_url_offset = 0
    resource.schema_url_length = 0
    resource.attributes_start = state[ATTRIBUTES]
    resource.dropped_attributes_count = 0

    # The resource may stand behind its spans: it is looked for first.
    position = start
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if wire_type != LENGTH_DELIMITED:
            continue
        if field == 1:
            full = scan_resource(data, position - length, position, resource, attributes, state)
            if full != OK:
                return full
        elif field == 3:
            resource.schema_url_offset = position - length
            resource.schema_url_length = length
            check_text(data, position - length, position, state)
    resource.attributes_count = state[ATTRIBUTES] - resource.attributes_start
    for attribute in range(resource.attributes_start, state[ATTRIBUTES]):
        if is_service_name(data, attributes[attribute].key_offset, attributes[attribute].key_length):
            resource.service_name = attribute

    state[AT_SCOPE_SPANS] = 0
    position = start
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if field == 2 and wire_type == LENGTH_DELIMITED:
            state[AT_SCOPE_SPANS] += 1
            full = scan_scope_spans(data, position - length, position, row, scopes, spans, events, links, attributes, state)
            if full != OK:
                return full
    state[AT_SCOPE_SPANS] = 0
    return OK


@kernel
def scan_resource(data, position, end, resource, attributes, state):
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if field == 1 and wire_type == LENGTH_DELIMITED:
            if not scan_attribute(data, position - value, position, attributes, state):
                return ATTRIBUTES
        elif field == 2 and wire_type == VARINT:
            resource.dropped_attributes_count = value & 0xFFFFFFFF
    return OK


@kernel
def is_service_name(data, offset, length):
    if length != SERVICE_NAME.size:
        return False
    for index in range(length):
        if data[offset + index] != SERVICE_NAME[index]:
            return False
    return True


@kernel
def scan_scope_spans(data, start, end, resource_row, scopes, spans, events, links, attributes, state):
    row = state[SCOPES]
    if row == scopes.size:
        return SCOPES
    state[SCOPES] = row + 1
    scope = scopes[row]
    scope.resource = resource_row
    scope.name_offset = 0
    scope.name_length = 0
    scope.version_offset = 0
    scope.version_length = 0
    scope.schema_url_offset = 0
    scope.schema_url_length = 0
    scope.attributes_start = state[ATTRIBUTES]
    scope.dropped_attributes_count = 0

    # The scope may stand behind its spans: it is looked for first.
    position = start
    while position < end:
        field, wire_type, length, position = read_field(data, position, end)
        if wire_type != LENGTH_DELIMITED:
            continue
        if field == 1:
            full = scan_scope(data, position - length, position, scope, attributes, state)
            if full != OK:
                return full
        elif field == 3:
            scope.schema_url_offset = position - length
            scope.schema_url_length = length
            check_text(data, position - length, position, state)
    scope.attributes_count = state[ATTRIBUTES] - scope.attributes_start

    state[AT_SPAN] = 0
    position = start
    while position < end:
        field, wire_type, length, position = read_field(data, position, end)
        if field == 2 and wire_type == LENGTH_DELIMITED:
            state[AT_SPAN] += 1
            full = scan_span(data, position - length, position, row, spans, events, links, attributes, state)
            if full != OK:
                return full
    state[AT_SPAN] = 0
    return OK


@kernel
def scan_scope(data, position, end, scope, attributes, state):
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            if field == 1:
                scope.name_offset = position - value
                scope.name_length = value
                check_text(data, position - value, position, state)
            elif field == 2:
                scope.version_offset = position - value
                scope.version_length = value
                check_text(data, position - value, position, state)
            elif field == 3:
                if not scan_attribute(data, position - value, position, attributes, state):
                    return ATTRIBUTES
        elif field == 4 and wire_type == VARINT:
            scope.dropped_attributes_count = value & 0xFFFFFFFF
    return OK


@kernel
def scan_span(data, position, end, scope_row, spans, events, links, attributes, state):
    row = state[SPANS]
    if row == spans.size:
        return SPANS
    span = spans[row]
    span.start_time_unix_nano = 0
    span.end_time_unix_nano = 0
    span.scope = scope_row
    span.trace_state_offset = 0
    span.trace_state_length = 0
    span.name_offset = 0
    span.name_length = 0
    span.kind = 0
    span.status_code = 0
    span.status_message_offset = 0
    span.status_message_length = 0
    span.flags = 0
    span.dropped_attributes_count = 0
    span.dropped_events_count = 0
    span.dropped_links_count = 0
    span.wire_length = end - position
    first_attribute = state[ATTRIBUTES]
    first_event = state[EVENTS]
    first_link = state[LINKS]
    trace_id = span_id = parent_span_id = position
    trace_id_length = span_id_length = parent_span_id_length = 0

    while position < end:
        field, wire_type, value, position = read_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            start = position - value
            if field == 9:
                if not scan_attribute(data, start, position, attributes, state):
                    return ATTRIBUTES
            elif field == 1:
                trace_id = start
                trace_id_length = value
            elif field == 2:
                span_id = start
                span_id_length = value
            elif field == 3:
                span.trace_state_offset = start
                span.trace_state_length = value
                check_text(data, start, position, state)
            elif field == 4:
                parent_span_id = start
                parent_span_id_length = value
            elif field == 5:
                span.name_offset = start
                span.name_length = value
                check_text(data, start, position, state)
            elif field == 11:
                # Read after this loop, for the span's own attributes must stand together.
                if state[EVENTS] == events.size:
                    return EVENTS
                events[state[EVENTS]].name_offset = start
                events[state[EVENTS]].name_length = value
                state[EVENTS] += 1
            elif field == 13:
                if state[LINKS] == links.size:
                    return LINKS
                links[state[LINKS]].trace_id_offset = start
                links[state[LINKS]].trace_id_length = value
                state[LINKS] += 1
            elif field == 15:
                scan_status(data, start, position, span, state)
        elif wire_type == FIXED64:
            if field == 7:
                span.start_time_unix_nano = read_unsigned64(data, position - 8)
            elif field == 8:
                span.end_time_unix_nano = read_unsigned64(data, position - 8)
        elif wire_type == VARINT:
            if field == 6:
                span.kind = as_signed32(value)
            elif field == 10:
                span.dropped_attributes_count = value & 0xFFFFFFFF
            elif field == 12:
                span.dropped_events_count = value & 0xFFFFFFFF
            elif field == 14:
                span.dropped_links_count = value & 0xFFFFFFFF
        elif field == 16 and wire_type == FIXED32:
            span.flags = read_unsigned32(data, position - 4)

    span.attributes_start = first_attribute
    span.attributes_count = state[ATTRIBUTES] - first_attribute
    span.events_start = first_event
    span.events_count = state[EVENTS] - first_event
    span.links_start = first_link
    span.links_count = state[LINKS] - first_link
    for event in range(first_event, state[EVENTS]):
        if not scan_event(data, events[event], attributes, state):
            return ATTRIBUTES
    for link in range(first_link, state[LINKS]):
        if not scan_link(data, links[link], attributes, state):
            return ATTRIBUTES

    span.trace_id_offset = trace_id
    span.span_id_offset = span_id
    span.parent_span_id_offset = parent_span_id
    if parent_span_id_length == 0 or (parent_span_id_length == 8 and is_zero(data, parent_span_id, 8)):
        span.parent_span_id_offset = ABSENT
        parent_span_id_length = 0
    reason = judge_ids(data, trace_id, trace_id_length, span_id, span_id_length, parent_span_id_length)
    if reason == NOT_REJECTED:
        state[SPANS] = row + 1
    else:
        if state[REJECTED_PATH + AT_RESOURCE_SPANS] == 0:
            state[REJECTED_PATH + AT_RESOURCE_SPANS] = state[AT_RESOURCE_SPANS]
            state[REJECTED_PATH + AT_SCOPE_SPANS] = state[AT_SCOPE_SPANS]
            state[REJECTED_PATH + AT_SPAN] = state[AT_SPAN]
        state[REJECTED + reason] += 1
        state[ATTRIBUTES] = first_attribute
        state[EVENTS] = first_event
        state[LINKS] = first_link
    return OK


@kernel
def judge_ids(data, trace_id, trace_id_length, span_id, span_id_length, parent_span_id_length):
    """The reason to refuse a span for its ids, or NOT_REJECTED (receiver contract DATA-01, DATA-02)."""
    if trace_id_length != 16:
        return TRACE_ID_LENGTH
    if is_zero(data, trace_id, 16):
        return TRACE_ID_ZERO
    if span_id_length != 8:
        return SPAN_ID_LENGTH
    if is_zero(data, span_id, 8):
        return SPAN_ID_ZERO
    if parent_span_id_length != 0 and parent_span_id_length != 8:
        return PARENT_SPAN_ID_LENGTH
    return NOT_REJECTED


@kernel
def is_zero(data, offset, length):
    for index in range(offset, offset + length):
        if data[index]:
            return False
    return True


@kernel
def scan_status(data, position, end, span, state):
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if field == 2 and wire_type == LENGTH_DELIMITED:
            span.status_message_offset = position - value
            span.status_message_length = value
            check_text(data, position - value, position, state)
        elif field == 3 and wire_type == VARINT:
            span.status_code = as_signed32(value)


@kernel
def scan_event(data, event, attributes, state):
    """Read the event whose message its name's place holds. False when the attributes table is full."""
    position = np.int64(event.name_offset)
    end = position + event.name_length
    event.time_unix_nano = 0
    event.name_offset = 0
    event.name_length = 0
    event.attributes_start = state[ATTRIBUTES]
    event.dropped_attributes_count = 0
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            if field == 2:
                event.name_offset = position - value
                event.name_length = value
                check_text(data, position - value, position, state)
            elif field == 3:
                if not scan_attribute(data, position - value, position, attributes, state):
                    return False
        elif field == 1 and wire_type == FIXED64:
            event.time_unix_nano = read_unsigned64(data, position - 8)
        elif field == 4 and wire_type == VARINT:
            event.dropped_attributes_count = value & 0xFFFFFFFF
    event.attributes_count = state[ATTRIBUTES] - event.attributes_start
    return True


@kernel
def scan_link(data, link, attributes, state):
    """Read the link whose message its trace id's place holds. False when the attributes table is full."""
    position = np.int64(link.trace_id_offset)
    end = position + link.trace_id_length
    link.trace_id_offset = 0
    link.trace_id_length = 0
    link.span_id_offset = 0
    link.span_id_length = 0
    link.trace_state_offset = 0
    link.trace_state_length = 0
    link.attributes_start = state[ATTRIBUTES]
    link.dropped_attributes_count = 0
    link.flags = 0
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            if field == 1:
                link.trace_id_offset = position - value
                link.trace_id_length = value
            elif field == 2:
                link.span_id_offset = position - value
                link.span_id_length = value
            elif field == 3:
                link.trace_state_offset = position - value
                link.trace_state_length = value
                check_text(data, position - value, position, state)
            elif field == 4:
                if not scan_attribute(data, position - value, position, attributes, state):
                    return False
        elif field == 5 and wire_type == VARINT:
            link.dropped_attributes_count = value & 0xFFFFFFFF
        elif field == 6 and wire_type == FIXED32:
            link.flags = read_unsigned32(data, position - 4)
    link.attributes_count = state[ATTRIBUTES] - link.attributes_start
    return True


@kernel
def scan_attribute(data, position, end, attributes, state):
    """Read a KeyValue into the next row of `attributes`. False when that table is full."""
    row = state[ATTRIBUTES]
    if row == attributes.size:
        return False
    state[ATTRIBUTES] = row + 1
    attribute = attributes[row]
    attribute.number = 0
    attribute.key_offset = 0
    attribute.key_length = 0
    attribute.value_offset = 0
    attribute.value_length = 0
    attribute.type = EMPTY
    while position < end:
        field, wire_type, length, position = read_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            if field == 1:
                attribute.key_offset = position - length
                attribute.key_length = length
                check_text(data, position - length, position, state)
            elif field == 2:
                scan_value(data, position - length, position, attribute, state)
    return True


@kernel
def scan_value(data, position, end, attribute, state):
    """Read an AnyValue; of several members the last wins."""
    while position < end:
        field, wire_type, value, position = read_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            if field == STRING or field == BYTES or field == ARRAY or field == KVLIST:
                attribute.type = field
                attribute.value_offset = position - value
                attribute.value_length = value
                if field == STRING:
                    check_text(data, position - value, position, state)
                elif field != BYTES:
                    check_nested(data, position - value, position, field, state)
        elif wire_type == VARINT:
            if field == BOOL:
                attribute.type = BOOL
                attribute.number = value != 0
            elif field == INT:
                attribute.type = INT
                attribute.number = value
        elif field == DOUBLE and wire_type == FIXED64:
            attribute.type = DOUBLE
            attribute.number = read_signed64(data, position - 8)


@kernel
def check_text(data, start, end, state):
    if not is_utf8(data, start, end):
        state[INVALID_UTF8] = 1


@kernel
def check_nested(data, position, end, message, state):
    """Walk an ArrayValue or a KeyValueList to its leaves, without recursion: well formed, and not too deep.

    `message` says what is being read: ARRAY, KVLIST, ANY_VALUE or KEY_VALUE.
    """
    depth = 0
    state[ENDS] = end
    state[MESSAGES] = message
    levels = 1
    while True:
        while position == state[ENDS + depth]:
            if state[MESSAGES + depth] == ANY_VALUE:
                levels -= 1
            depth -= 1
            if depth < 0:
                return
        field, wire_type, length, position = next_field(data, position, state[ENDS + depth])
        if wire_type != LENGTH_DELIMITED:
            continue
        outer = state[MESSAGES + depth]
        if outer == ARRAY and field == 1:
            inner = ANY_VALUE
        elif outer == KVLIST and field == 1:
            inner = KEY_VALUE
        elif outer == KEY_VALUE and field == 2:
            inner = ANY_VALUE
        elif outer == ANY_VALUE and (field == ARRAY or field == KVLIST):
            inner = field
        else:
            continue
        if inner == ANY_VALUE:
            levels += 1
            if levels > MAX_VALUE_DEPTH:
                raise ValueError("a value is nested more than 64 levels deep")
        depth += 1
        state[ENDS + depth] = position
        state[MESSAGES + depth] = inner
        position -= length
