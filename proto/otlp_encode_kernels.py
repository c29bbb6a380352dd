"""Kernels that write a SpanBatch as an ExportTraceServiceRequest: one pass that measures messages, one that writes them.

A message stands behind its length, so lengths must be known before anything is written. Those of spans, events and links are
remembered; attributes and statuses are measured again when they are written, which costs less. Fields stand in the order of their
numbers, except that what a ResourceSpans or ScopeSpans says of itself, its head, stands in front of what it holds.

Each writer appends to `out` at `position` and returns the new position. The caller makes `out` large enough for what was
measured, and 32 bytes more; if it were not, the bounds check would say so. The `flags` of a row are asked for by name, in
brackets: where kernels run as plain Python, NumPy's records have an attribute of that name already.
"""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.native_kernels import AHEAD, ZERO, write_length
from proto.spans import ABSENT, BOOL, DOUBLE, EMPTY, INT
from proto.words import copy, expect, join_caller, stay_apart, store64

TRACE_ID_SIZE = 16
SPAN_ID_SIZE = 8
SEVEN_BITS = np.uint64(0x7F)
MORE = np.uint64(0x80)


@kernel
def varint_size(value):
    """Bytes that the 64 bits of an int64 take as a varint."""
    join_caller()
    if value < 0:
        return 10
    size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


@kernel
def write_varint(out, position, value):
    """The 64 bits of an int64 as a varint."""
    rest = np.uint64(value)
    while rest >= MORE:
        out[position] = np.uint8(rest & SEVEN_BITS | MORE)
        position += 1
        rest >>= np.uint64(7)
    out[position] = np.uint8(rest)
    return position + 1


@kernel
def write_fixed64(out, position, word):
    """Eight bytes, little-endian."""
    join_caller()
    if position < 0 or position + 8 > out.size:
        raise IndexError("range outside the data")
    store64(out, position, word)
    return position + 8


# Fields, each with its key; those that have their default are left out, as every encoder does. Keys are of one byte.


@kernel
def message_size(size):
    """What a message of so many bytes takes with its key and length."""
    join_caller()
    return 1 + varint_size(np.int64(size)) + np.int64(size)


@kernel
def text_size(length):
    join_caller()
    return message_size(length) if length else ZERO


@kernel
def number_size(value):
    join_caller()
    return 1 + varint_size(np.int64(value)) if value else ZERO


@kernel
def write_text(out, position, key, data, offset, length):
    join_caller()
    if length == 0:
        return position
    out[position] = np.uint8(key)
    position = write_length(out, position + 1, np.int64(length))
    return copy(out, position, data, np.int64(offset), np.int64(length))


@kernel
def write_number(out, position, key, value):
    join_caller()
    if value == 0:
        return position
    out[position] = np.uint8(key)
    return write_varint(out, position + 1, np.int64(value))


@kernel
def write_time(out, position, key, time):
    join_caller()
    if time == 0:
        return position
    out[position] = np.uint8(key)
    return write_fixed64(out, position + 1, time)


# Attributes.


@kernel
def value_size(attribute):
    """Bytes of an AnyValue."""
    join_caller()
    if attribute.type == EMPTY:
        return ZERO
    if attribute.type == INT:
        return 1 + varint_size(attribute.number)
    if attribute.type == BOOL:
        return ZERO + 2
    if attribute.type == DOUBLE:
        return ZERO + 9
    return message_size(attribute.value_length)


@kernel
def attributes_size(attributes, start, count):
    """Bytes of so many KeyValues, with the keys of their fields."""
    size = ZERO
    for row in range(np.int64(start), np.int64(start) + np.int64(count)):
        attribute = attributes[row]
        size += message_size(text_size(attribute.key_length) + message_size(value_size(attribute)))
    return size


@kernel
def write_attributes(out, position, key, data, attributes, start, count):
    """KeyValues, each under the same key."""
    for row in range(np.int64(start), np.int64(start) + np.int64(count)):
        attribute = attributes[row]
        if row + AHEAD < attributes.size:
            expect(data, np.int64(attributes[row + AHEAD].key_offset))
        of_value = value_size(attribute)
        out[position] = np.uint8(key)
        position = write_length(out, position + 1, text_size(attribute.key_length) + message_size(of_value))
        position = write_text(out, position, 0x0A, data, attribute.key_offset, attribute.key_length)
        out[position] = np.uint8(0x12)
        position = write_length(out, position + 1, of_value)
        if attribute.type == EMPTY:
            continue
        if attribute.type == INT or attribute.type == BOOL:
            out[position] = np.uint8(attribute.type << 3)
            position = write_varint(out, position + 1, attribute.number)
        elif attribute.type == DOUBLE:
            out[position] = np.uint8(DOUBLE << 3 | 1)
            position = write_fixed64(out, position + 1, np.uint64(attribute.number))
        else:
            out[position] = np.uint8(attribute.type << 3 | 2)
            position = write_length(out, position + 1, np.int64(attribute.value_length))
            position = copy(out, position, data, np.int64(attribute.value_offset), np.int64(attribute.value_length))
    return position


# Heads: what stands in a ResourceSpans or ScopeSpans beside what it holds.


@kernel
def measure_resource_heads(lengths, bodies, rows, resources, attributes):
    """The bytes of the head of each of these resources, and of the Resource in it. Returns those of all heads."""
    total = ZERO
    for index in range(rows.size):
        resource = resources[rows[index]]
        body = attributes_size(attributes, resource.attributes_start, resource.attributes_count)
        body += number_size(resource.dropped_attributes_count) + resource.entity_refs_length
        bodies[index] = body
        lengths[index] = message_size(body) + text_size(resource.schema_url_length)
        total += lengths[index]
    return total


@kernel
def write_resource_heads(out, bodies, rows, resources, attributes, data):
    position = ZERO
    for index in range(rows.size):
        resource = resources[rows[index]]
        out[position] = np.uint8(0x0A)
        position = write_length(out, position + 1, bodies[index])
        position = write_attributes(out, position, 0x0A, data, attributes, resource.attributes_start, resource.attributes_count)
        position = write_number(out, position, 0x10, resource.dropped_attributes_count)
        position = copy(out, position, data, np.int64(resource.entity_refs_offset), np.int64(resource.entity_refs_length))
        position = write_text(out, position, 0x1A, data, resource.schema_url_offset, resource.schema_url_length)
    return position


@kernel
def measure_scope_heads(lengths, bodies, rows, scopes, attributes):
    """The bytes of the head of each of these scopes, and of the InstrumentationScope in it. Returns those of all heads."""
    total = ZERO
    for index in range(rows.size):
        scope = scopes[rows[index]]
        body = text_size(scope.name_length) + text_size(scope.version_length)
        body += attributes_size(attributes, scope.attributes_start, scope.attributes_count)
        body += number_size(scope.dropped_attributes_count)
        bodies[index] = body
        lengths[index] = message_size(body) + text_size(scope.schema_url_length)
        total += lengths[index]
    return total


@kernel
def write_scope_heads(out, bodies, rows, scopes, attributes, data):
    position = ZERO
    for index in range(rows.size):
        scope = scopes[rows[index]]
        out[position] = np.uint8(0x0A)
        position = write_length(out, position + 1, bodies[index])
        position = write_text(out, position, 0x0A, data, scope.name_offset, scope.name_length)
        position = write_text(out, position, 0x12, data, scope.version_offset, scope.version_length)
        position = write_attributes(out, position, 0x1A, data, attributes, scope.attributes_start, scope.attributes_count)
        position = write_number(out, position, 0x20, scope.dropped_attributes_count)
        position = write_text(out, position, 0x1A, data, scope.schema_url_offset, scope.schema_url_length)
    return position


# Spans.


@kernel
def measure_event(event, attributes):
    size = text_size(event.name_length) + number_size(event.dropped_attributes_count)
    if event.time_unix_nano:
        size += 9
    return size + attributes_size(attributes, event.attributes_start, event.attributes_count)


@kernel
def measure_link(link, attributes):
    size = text_size(link.trace_id_length) + text_size(link.span_id_length) + text_size(link.trace_state_length)
    size += number_size(link.dropped_attributes_count)
    if link["flags"]:
        size += 5
    return size + attributes_size(attributes, link.attributes_start, link.attributes_count)


@kernel
def status_size(span):
    return text_size(span.status_message_length) + number_size(span.status_code)


@kernel
def measure_spans(span_sizes, event_sizes, link_sizes, group_sizes, spans, group_of_span, events, links, attributes):
    """The bytes of each span and of its events and links, under their rows, and of each group those of all its spans."""
    group_sizes[:] = 0
    for row in range(spans.size):
        span = spans[row]
        size = message_size(TRACE_ID_SIZE) + message_size(SPAN_ID_SIZE)
        if span.parent_span_id_offset != ABSENT:
            size += message_size(SPAN_ID_SIZE)
        size += text_size(span.trace_state_length) + text_size(span.name_length)
        size += number_size(span.kind)
        if span.start_time_unix_nano:
            size += 9
        if span.end_time_unix_nano:
            size += 9
        size += attributes_size(attributes, span.attributes_start, span.attributes_count)
        size += number_size(span.dropped_attributes_count)
        size += number_size(span.dropped_events_count)
        size += number_size(span.dropped_links_count)
        size += text_size(status_size(span))
        if span["flags"]:
            size += 6
        for event in range(span.events_start, span.events_start + span.events_count):
            event_sizes[event] = measure_event(events[event], attributes)
            size += message_size(event_sizes[event])
        for link in range(span.links_start, span.links_start + span.links_count):
            link_sizes[link] = measure_link(links[link], attributes)
            size += message_size(link_sizes[link])
        span_sizes[row] = size
        group_sizes[group_of_span[row]] += message_size(size)


@kernel
def write_events(out, position, span, sizes, events, attributes, data):
    stay_apart()
    for row in range(span.events_start, span.events_start + span.events_count):
        event = events[row]
        out[position] = np.uint8(0x5A)
        position = write_length(out, position + 1, sizes[row])
        position = write_time(out, position, 0x09, event.time_unix_nano)
        position = write_text(out, position, 0x12, data, event.name_offset, event.name_length)
        position = write_attributes(out, position, 0x1A, data, attributes, event.attributes_start, event.attributes_count)
        position = write_number(out, position, 0x20, event.dropped_attributes_count)
    return position


@kernel
def write_flags(out, position, flags):
    """Four bytes, little-endian."""
    for shift in range(0, 32, 8):
        out[position] = np.uint8(np.int64(flags) >> shift & 0xFF)
        position += 1
    return position


@kernel
def write_links(out, position, span, sizes, links, attributes, data):
    stay_apart()
    for row in range(span.links_start, span.links_start + span.links_count):
        link = links[row]
        out[position] = np.uint8(0x6A)
        position = write_length(out, position + 1, sizes[row])
        position = write_text(out, position, 0x0A, data, link.trace_id_offset, link.trace_id_length)
        position = write_text(out, position, 0x12, data, link.span_id_offset, link.span_id_length)
        position = write_text(out, position, 0x1A, data, link.trace_state_offset, link.trace_state_length)
        position = write_attributes(out, position, 0x22, data, attributes, link.attributes_start, link.attributes_count)
        position = write_number(out, position, 0x28, link.dropped_attributes_count)
        if link["flags"]:
            out[position] = np.uint8(0x35)
            position = write_flags(out, position + 1, link["flags"])
    return position


@kernel
def write_span(out, position, span, event_sizes, link_sizes, events, links, attributes, data):
    position = write_text(out, position, 0x0A, data, span.trace_id_offset, TRACE_ID_SIZE)
    position = write_text(out, position, 0x12, data, span.span_id_offset, SPAN_ID_SIZE)
    position = write_text(out, position, 0x1A, data, span.trace_state_offset, span.trace_state_length)
    if span.parent_span_id_offset != ABSENT:
        position = write_text(out, position, 0x22, data, span.parent_span_id_offset, SPAN_ID_SIZE)
    position = write_text(out, position, 0x2A, data, span.name_offset, span.name_length)
    position = write_number(out, position, 0x30, span.kind)
    position = write_time(out, position, 0x39, span.start_time_unix_nano)
    position = write_time(out, position, 0x41, span.end_time_unix_nano)
    position = write_attributes(out, position, 0x4A, data, attributes, span.attributes_start, span.attributes_count)
    position = write_number(out, position, 0x50, span.dropped_attributes_count)
    if span.events_count:
        position = write_events(out, position, span, event_sizes, events, attributes, data)
    position = write_number(out, position, 0x60, span.dropped_events_count)
    if span.links_count:
        position = write_links(out, position, span, link_sizes, links, attributes, data)
    position = write_number(out, position, 0x70, span.dropped_links_count)
    of_status = status_size(span)
    if of_status:
        out[position] = np.uint8(0x7A)
        position = write_length(out, position + 1, of_status)
        position = write_text(out, position, 0x12, data, span.status_message_offset, span.status_message_length)
        position = write_number(out, position, 0x18, span.status_code)
    if span["flags"]:
        out[position] = np.uint8(0x85)
        out[position + 1] = np.uint8(0x01)
        position = write_flags(out, position + 2, span["flags"])
    return position


@kernel
def measure_groups(resource_sizes, scope_sizes, group_sizes, resource_of_group, resource_lengths, scope_lengths):
    """The bytes of each ResourceSpans, and of each ScopeSpans, which are the groups. Returns those of the request.

    `resource_lengths` and `scope_lengths` are the bytes of their heads, `group_sizes` those of the spans.
    """
    for resource in range(resource_sizes.size):
        resource_sizes[resource] = resource_lengths[resource]
    for group in range(group_sizes.size):
        scope_sizes[group] = scope_lengths[group] + group_sizes[group]
        resource_sizes[resource_of_group[group]] += message_size(scope_sizes[group])
    total = ZERO
    for resource in range(resource_sizes.size):
        total += message_size(resource_sizes[resource])
    return total


@kernel
def write_request(
    out,
    resource_sizes,
    scope_sizes,
    resource_of_group,
    resource_heads,
    resource_starts,
    resource_lengths,
    scope_heads,
    scope_starts,
    scope_lengths,
    order,
    group_ends,
    span_sizes,
    event_sizes,
    link_sizes,
    spans,
    events,
    links,
    attributes,
    data,
):
    """The request: `order` are the rows of the spans group by group, and `group_ends` says where each group's end in it."""
    position = ZERO
    index = ZERO
    for group in range(scope_sizes.size):
        resource = resource_of_group[group]
        if group == 0 or resource_of_group[group - 1] != resource:
            out[position] = np.uint8(0x0A)
            position = write_length(out, position + 1, resource_sizes[resource])
            position = copy(out, position, resource_heads, resource_starts[resource], resource_lengths[resource])
        out[position] = np.uint8(0x12)
        position = write_length(out, position + 1, scope_sizes[group])
        position = copy(out, position, scope_heads, scope_starts[group], scope_lengths[group])
        while index < group_ends[group]:
            row = order[index]
            out[position] = np.uint8(0x12)
            position = write_length(out, position + 1, span_sizes[row])
            position = write_span(out, position, spans[row], event_sizes, link_sizes, events, links, attributes, data)
            index += 1
    return position
