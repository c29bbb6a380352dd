"""The conversion of spans in JSON, OTLP's or Zipkin's, to protobuf, as one kernel.

It has a stack of its own, so that no nesting can exhaust another.

Messages are written as they are met. The lengths that stand before them are filled in when they end (`write_length`): what is
inside moves up when its length takes more than one byte, but not so in deep nesting, where every level would move it again.
"""

from __future__ import annotations

import numpy as np

from proto.decimals import scan_decimal
from proto.json_fields import (
    ANY_VALUE,
    BASE64,
    BOOL,
    CHILD,
    DOUBLE,
    ENUM,
    FIELDS,
    FORM,
    HEX,
    IGNORED,
    IGNORED_LIBRARY,
    MESSAGE,
    REPEATED,
    REQUEST,
    SHORT_HEX,
    SKIPPED,
    SPAN,
    TEXT,
    TEXTS,
    WIRE_KEY,
    ZIPKIN_SPAN,
    ZIPKIN_TAGS,
    find_key,
)
from proto.json_text import (
    CLOSE_BRACE,
    CLOSE_BRACKET,
    COLON,
    COMMA,
    FALSE,
    NULL,
    OPEN_BRACE,
    OPEN_BRACKET,
    QUOTE,
    TRUE,
    copy_number,
    read_literal,
    read_string,
    skip_space,
)
from proto.json_values import (
    DEPTH,
    OLD_LIBRARY_SPANS,
    PADDED_LENGTH,
    PAUSE,
    POSITION,
    RUNNING,
    SPAN_DEPTH,
    SPOILED_ID,
    WRITTEN,
    refuse_id,
    write_base64,
    write_id,
    write_key,
    write_length,
    write_name,
    write_named_double,
    write_number,
    write_short_id,
)
from proto.kernel import kernel
from proto.words import copy

# Of Zipkin's protobuf: a tag of a span, and what it is made of.
_TAG_KEY = 0x5A
_FIRST_TEXT_KEY = 0x0A
_SECOND_TEXT_KEY = 0x12

# `frames` (int64): a row for every open container, the outermost first.
KIND = 0  # of the object, or of the objects in the array
IS_ARRAY = 1
CONTENT = 2  # where the message of an object begins in `out`
MEMBERS = 3  # begun so far
NAME_START, NAME_END = 4, 5  # of the last member of an object, in the JSON text
ELEMENT_KEY = 6  # wire key of the objects in an array
FRAME_SIZE = 7

MAX_DEPTH = 1024
"""Containers that may be open at once; a level of AnyValue takes up to four (receiver contract LIMIT-08)."""

# Where lengths begin to be padded: reached by values nested five deep.
_DEEP = 24

TAG_KEY_OFFSET = 4
"""How far behind the position in `out` the key of a tag is decoded: behind two keys of fields and two lengths."""

SCRATCH_OFFSET = 16
"""How far behind the position in `out` text is decoded that is converted from there: further than any number's field is long."""

SLACK = 64
"""`out` must have three bytes for each of the JSON text and these."""


@kernel
def convert(data, out, frames, state, root, root_key):
    """Convert data (uint8, JSON from its first brace or bracket on) to out (uint8) until that ends or the kernel must pause.

    The text is an object of the kind `root`, or an array of such; then each is written under the wire key `root_key`. `state`
    says which it was (PAUSE) and holds all that is needed to go on. Every byte of JSON becomes at most three: broken UTF-8 is
    replaced by U+FFFD; any other value takes at least as much text as wire.
    """
    position = state[POSITION]
    at = state[WRITTEN]
    depth = state[DEPTH]
    if position == 0:
        position = open_container(frames, 0, data, 0, root, root_key, at)
    state[PAUSE] = RUNNING
    while depth >= 0:
        position = skip_space(data, position)
        state[POSITION] = position
        is_array = frames[depth, IS_ARRAY] != 0
        if data[position] == (CLOSE_BRACKET if is_array else CLOSE_BRACE):
            at = close_container(frames, depth, out, at, state)
            position += 1
            depth -= 1
            state[DEPTH] = depth
            continue
        if frames[depth, MEMBERS]:
            if data[position] != COMMA:
                raise ValueError("a comma or the end of an object or array is missing")
            position = skip_space(data, position + 1)
        frames[depth, MEMBERS] += 1
        kind = frames[depth, KIND]
        if is_array:
            form = IGNORED if kind == SKIPPED else TEXT if kind == TEXTS else MESSAGE
            wire_key = frames[depth, ELEMENT_KEY]
            child = kind
        else:
            if data[position] != QUOTE:
                raise ValueError("the key of an object's member is missing")
            frames[depth, NAME_START] = position + 1
            name = at + (TAG_KEY_OFFSET if kind == ZIPKIN_TAGS else SCRATCH_OFFSET)
            position, end = read_string(data, position + 1, out, name)
            frames[depth, NAME_END] = position - 1
            key = find_key(out, name, end)
            form = np.int64(FIELDS[kind, key, FORM])
            wire_key = np.int64(FIELDS[kind, key, WIRE_KEY])
            child = np.int64(FIELDS[kind, key, CHILD])
            if form == IGNORED_LIBRARY:
                state[OLD_LIBRARY_SPANS] = 1
                form = IGNORED
            position = skip_space(data, position)
            if data[position] != COLON:
                raise ValueError("the colon after a key is missing")
            position = skip_space(data, position + 1)
        state[POSITION] = position

        first = data[position]
        if kind == ZIPKIN_TAGS:
            position, at = write_tag(data, position, out, at, at + TAG_KEY_OFFSET, end)
        elif first == OPEN_BRACE or first == OPEN_BRACKET:
            if form != (MESSAGE if first == OPEN_BRACE else REPEATED):
                if form == HEX or form == SHORT_HEX:
                    refuse_id(state, kind, wire_key)
                elif form != IGNORED:
                    raise ValueError("an object or array stands where there must be another kind of value")
                child = SKIPPED
            depth += 1
            if depth == MAX_DEPTH:
                raise ValueError("objects and arrays are nested too deeply")
            if first == OPEN_BRACE and is_message(child):
                at = write_key(out, at, wire_key) + reserved_for_length(depth)
                if child == SPAN or child == ZIPKIN_SPAN:
                    state[SPAN_DEPTH] = depth
                    state[SPOILED_ID] = 0
            position = open_container(frames, depth, data, position, child, wire_key, at)
            state[DEPTH] = depth
        elif first == 0x6E:
            # Absent (receiver contract JSON-12), but in a list of values null is one, and keeps its place.
            position = read_literal(data, position, NULL)
            if is_array and kind == ANY_VALUE:
                at = write_key(out, at, wire_key)
                out[at] = 0
                at += 1
        else:
            position, at = convert_scalar(data, position, out, at, kind, form, wire_key, child, state)
        if state[PAUSE] != RUNNING:
            state[POSITION] = position
            state[WRITTEN] = at
            return
    position = skip_space(data, position)
    state[POSITION] = position
    state[WRITTEN] = at
    if position < data.size:
        raise ValueError("text follows the request")


@kernel
def is_message(kind):
    """Whether an object of a kind becomes a message with a key and a length."""
    return kind != SKIPPED and kind != REQUEST and kind != ZIPKIN_TAGS


@kernel
def reserved_for_length(depth):
    return 1 if depth < _DEEP else PADDED_LENGTH


@kernel
def open_container(frames, depth, data, position, kind, wire_key, at):
    """Put the container that begins at `position` on the stack; returns the position after its first byte."""
    frames[depth, KIND] = kind
    frames[depth, IS_ARRAY] = data[position] == OPEN_BRACKET
    frames[depth, CONTENT] = at
    frames[depth, MEMBERS] = 0
    frames[depth, ELEMENT_KEY] = wire_key
    return position + 1


@kernel
def close_container(frames, depth, out, at, state):
    """End the message of the innermost container, if it has one; returns the position in `out` after it."""
    kind = frames[depth, KIND]
    if frames[depth, IS_ARRAY] or not is_message(kind):
        return at
    if kind == SPAN or kind == ZIPKIN_SPAN:
        if state[SPOILED_ID]:
            # The last id wins, and no id has one byte.
            out[at] = state[SPOILED_ID]
            out[at + 1] = 1
            out[at + 2] = 0
            at += 3
        state[SPAN_DEPTH] = 0
    return write_length(out, frames[depth, CONTENT], at, reserved_for_length(depth))


@kernel
def write_tag(data, position, out, at, name, end):
    """A tag whose key stands decoded at out[name:end], with the value at `position`; none where that is null.

    Zipkin's tags have texts. Numbers and truth values are taken as such, as they are written. Returns the position after the
    value, and that in `out` after the tag.
    """
    out[at] = _TAG_KEY
    out[at + 2] = _FIRST_TEXT_KEY
    after = write_length(out, name, end, 1)
    out[after] = _SECOND_TEXT_KEY
    start = after + 2
    first = data[position]
    if first == QUOTE:
        position, end = read_string(data, position + 1, out, start)
    elif first == 0x6E:
        return read_literal(data, position, NULL), at
    elif first == 0x74 or first == 0x66:
        literal = TRUE if first == 0x74 else FALSE
        position = read_literal(data, position, literal)
        end = copy(out, start, literal, 0, literal.size)
    else:
        position, end = copy_number(data, position, out, start)
        if start == end or scan_decimal(out, start, end)[0] != end:
            raise ValueError("the value of a tag is not a text")
    return position, write_length(out, at + 2, write_length(out, start, end, 1), 1)


@kernel
def convert_scalar(data, position, out, at, kind, form, wire_key, child, state):
    """A string, boolean or number as a field: (position after it, position in `out` after what was written)."""
    first = data[position]
    start = write_key(out, at, wire_key) + 1 if form == TEXT else at + SCRATCH_OFFSET
    if first == QUOTE:
        position, end = read_string(data, position + 1, out, start)
        if form == TEXT:
            return position, write_length(out, start, end, 1)
        if form == IGNORED:
            return position, at
        if form == HEX:
            return position, write_id(out, at, start, end, kind, wire_key, child, state)
        if form == SHORT_HEX:
            return position, write_short_id(out, at, start, end, kind, wire_key, child, state)
        if form == BASE64:
            return position, write_base64(out, at, start, end, wire_key, state)
        if form == ENUM and (start == end or out[start] > 0x39):
            return position, write_name(out, at, start, end, child, wire_key, state)
        if form == DOUBLE:
            after = write_named_double(out, at, start, end)
            if after != at:
                return position, after
    elif first == 0x74 or first == 0x66:
        truth = first == 0x74
        position = read_literal(data, position, TRUE if truth else FALSE)
        if form == BOOL:
            at = write_key(out, at, wire_key)
            out[at] = truth
            return position, at + 1
        start = end = at
    else:
        position, end = copy_number(data, position, out, start)
        if start == end:
            raise ValueError("a value is not JSON")
    if form == HEX or form == SHORT_HEX:
        refuse_id(state, kind, wire_key)
        return position, at
    if start == end and form == IGNORED:
        return position, at
    if start == end or form == TEXT or form == BASE64 or form == BOOL or form == MESSAGE or form == REPEATED:
        raise ValueError("a value is of another kind than its field")
    return position, write_number(out, at, start, end, form, wire_key, state)
