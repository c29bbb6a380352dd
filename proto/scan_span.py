"""The scan of one span with its status, events and links, and the judgement of its ids."""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.scan_state import (
    AT_RESOURCE_SPANS,
    AT_SCOPE_SPANS,
    AT_SPAN,
    ATTRIBUTES,
    EVENTS,
    LINKS,
    NOT_REJECTED,
    OK,
    PARENT_SPAN_ID_LENGTH,
    REJECTED,
    REJECTED_PATH,
    SPAN_ID_LENGTH,
    SPAN_ID_ZERO,
    SPANS,
    TRACE_ID_LENGTH,
    TRACE_ID_ZERO,
)
from proto.scan_values import check_text, scan_attribute
from proto.spans import ABSENT
from proto.wire import (
    FIXED32,
    FIXED64,
    LENGTH_DELIMITED,
    VARINT,
    as_signed32,
    next_field,
    read_field,
    read_unsigned32,
    read_unsigned64,
)
from proto.words import is_zero


@kernel
def scan_span(data, position, end, scope_row, spans, events, links, attributes, state):
    row = state[SPANS]
    if row == spans.size:
        return SPANS
    span = spans[row]
    span.start_time_unix_nano = 0
    span.end_time_unix_nano = 0
    span.scope = scope_row
    span.trace_state_offset = position
    span.trace_state_length = 0
    span.name_offset = position
    span.name_length = 0
    span.kind = 0
    span.status_code = 0
    span.status_message_offset = position
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
    event.name_offset = position
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
    link.trace_id_offset = position
    link.trace_id_length = 0
    link.span_id_offset = position
    link.span_id_length = 0
    link.trace_state_offset = position
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
