"""The scan of a trace request: kernels that walk the messages and fill the tables of a SpanBatch.

Each function reads one kind of message, data[position:end], into the tables and counts its rows in `state`. When a table has
no room left, a function returns that table's number, and the caller grows it and scans again; `OK` means that all went well.
"""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.scan_span import scan_span
from proto.scan_state import AT_RESOURCE_SPANS, AT_SCOPE_SPANS, AT_SPAN, ATTRIBUTES, OK, RESOURCES, SCOPES
from proto.scan_values import check_text, scan_attribute
from proto.spans import ABSENT
from proto.utf8 import is_utf8
from proto.wire import LENGTH_DELIMITED, VARINT, next_field, read_field

SERVICE_NAME = np.frombuffer(b"service.name", np.uint8)


@kernel
def scan_request(data, position, resources, scopes, spans, events, links, attributes, state):
    """Fill the tables from a whole request, data[position:]. Returns OK, or the number of the table that is full."""
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
    resource.schema_url_offset = start
    resource.schema_url_length = 0
    resource.attributes_start = state[ATTRIBUTES]
    resource.dropped_attributes_count = 0
    resource.entity_refs_offset = start
    resource.entity_refs_length = 0

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
        start = position
        field, wire_type, value, position = next_field(data, position, end)
        if field == 1 and wire_type == LENGTH_DELIMITED:
            if not scan_attribute(data, position - value, position, attributes, state):
                return ATTRIBUTES
        elif field == 2 and wire_type == VARINT:
            resource.dropped_attributes_count = value & 0xFFFFFFFF
        elif field == 3 and wire_type == LENGTH_DELIMITED and is_entity_ref(data, position - value, position):
            add_entity_ref(resource, start, position)
    return OK


@kernel
def is_entity_ref(data, position, end):
    """Whether an EntityRef can be handed on as it is: well formed, and its texts, which are all that it has, are whole."""
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if 1 <= field <= 4 and wire_type == LENGTH_DELIMITED and not is_utf8(data, position - length, position):
            return False
    return True


@kernel
def add_entity_ref(resource, start, end):
    """References are kept where they stand, which is one after the other; one that something parts from the others is not."""
    if resource.entity_refs_length == 0:
        resource.entity_refs_offset = start
    if resource.entity_refs_offset + resource.entity_refs_length == start:
        resource.entity_refs_length = end - resource.entity_refs_offset


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
    scope.name_offset = start
    scope.name_length = 0
    scope.version_offset = start
    scope.version_length = 0
    scope.schema_url_offset = start
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
