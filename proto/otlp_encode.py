"""SpanBatch to OTLP: the bytes of an ExportTraceServiceRequest, for the few spans that are set aside.

Ordinary Python, a span at a time. What a request held and a SpanBatch does not (unknown fields, entity references) is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from proto.spans import ABSENT, ARRAY, BOOL, BYTES, DOUBLE, INT, KVLIST, STRING, SpanBatch
from proto.wire import FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, encode_varint

_ID_BYTES: Final = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}


def encode_request(batch: SpanBatch) -> bytes:
    """All spans of a batch as one request, grouped by resource and scope in the order in which each is first met."""
    return _Request(batch).encode()


class _Request:
    def __init__(self, batch: SpanBatch) -> None:
        self._batch = batch
        self._data = batch.data.tobytes()

    def encode(self) -> bytes:
        scopes: dict[int, list[bytes]] = {}
        for span in self._batch.spans:
            scopes.setdefault(int(span["scope"]), []).append(_message(2, self._span(span)))
        resources: dict[int, list[bytes]] = {}
        for row, spans in scopes.items():
            scope = self._batch.scopes[row]
            body = [_message(1, self._scope(scope)), *spans, self._text(3, scope, "schema_url")]
            resources.setdefault(int(scope["resource"]), []).append(_message(2, body))
        return b"".join(
            _message(1, [_message(1, self._resource(row)), *scope_spans, self._text(3, self._batch.resources[row], "schema_url")])
            for row, scope_spans in resources.items()
        )

    def _resource(self, row: int) -> Iterable[bytes]:
        resource = self._batch.resources[row]
        yield from self._attributes(1, resource)
        yield _varint_field(2, resource["dropped_attributes_count"])

    def _scope(self, scope: Any) -> Iterable[bytes]:
        yield self._text(1, scope, "name")
        yield self._text(2, scope, "version")
        yield from self._attributes(3, scope)
        yield _varint_field(4, scope["dropped_attributes_count"])

    def _span(self, span: Any) -> Iterable[bytes]:
        yield self._id(1, span, "trace_id")
        yield self._id(2, span, "span_id")
        yield self._text(3, span, "trace_state")
        yield self._id(4, span, "parent_span_id")
        yield self._text(5, span, "name")
        yield _varint_field(6, span["kind"])
        yield _fixed_field(7, span["start_time_unix_nano"], 8)
        yield _fixed_field(8, span["end_time_unix_nano"], 8)
        yield from self._attributes(9, span)
        yield _varint_field(10, span["dropped_attributes_count"])
        for event in _run(self._batch.events, span, "events"):
            yield _message(11, self._event(event))
        yield _varint_field(12, span["dropped_events_count"])
        for link in _run(self._batch.links, span, "links"):
            yield _message(13, self._link(link))
        yield _varint_field(14, span["dropped_links_count"])
        status = [self._text(2, span, "status_message"), _varint_field(3, span["status_code"])]
        yield _message(15, status) if any(status) else b""
        yield _fixed_field(16, span["flags"], 4)

    def _event(self, event: Any) -> Iterable[bytes]:
        yield _fixed_field(1, event["time_unix_nano"], 8)
        yield self._text(2, event, "name")
        yield from self._attributes(3, event)
        yield _varint_field(4, event["dropped_attributes_count"])

    def _link(self, link: Any) -> Iterable[bytes]:
        yield self._text(1, link, "trace_id")
        yield self._text(2, link, "span_id")
        yield self._text(3, link, "trace_state")
        yield from self._attributes(4, link)
        yield _varint_field(5, link["dropped_attributes_count"])
        yield _fixed_field(6, link["flags"], 4)

    def _attributes(self, number: int, owner: Any) -> Iterable[bytes]:
        for attribute in _run(self._batch.attributes, owner, "attributes"):
            yield _message(number, [self._text(1, attribute, "key"), _message(2, [self._value(attribute)])])

    def _value(self, attribute: Any) -> bytes:
        kind = int(attribute["type"])
        if kind in (BOOL, INT):
            return _key(kind, VARINT) + encode_varint(int(attribute["number"]))
        if kind == DOUBLE:
            return _key(kind, FIXED64) + int(attribute["number"]).to_bytes(8, "little", signed=True)
        if kind in (STRING, ARRAY, KVLIST, BYTES):
            return _message(kind, [self._bytes(attribute, "value")])
        return b""

    def _text(self, number: int, row: Any, field: str) -> bytes:
        content = self._bytes(row, field)
        return _message(number, [content]) if content else b""

    def _bytes(self, row: Any, field: str) -> bytes:
        offset = int(row[f"{field}_offset"])
        return self._data[offset : offset + int(row[f"{field}_length"])]

    def _id(self, number: int, span: Any, field: str) -> bytes:
        offset = int(span[f"{field}_offset"])
        return b"" if offset == ABSENT else _message(number, [self._data[offset : offset + _ID_BYTES[field]]])


def _run(table: Any, owner: Any, name: str) -> Any:
    start = int(owner[f"{name}_start"])
    return table[start : start + int(owner[f"{name}_count"])]


def _message(number: int, parts: Iterable[bytes]) -> bytes:
    content = b"".join(parts)
    return _key(number, LENGTH_DELIMITED) + encode_varint(len(content)) + content


def _varint_field(number: int, value: Any) -> bytes:
    return _key(number, VARINT) + encode_varint(int(value)) if value else b""


def _fixed_field(number: int, value: Any, size: int) -> bytes:
    return _key(number, FIXED64 if size == 8 else FIXED32) + int(value).to_bytes(size, "little") if value else b""


def _key(number: int, wire_type: int) -> bytes:
    return encode_varint(number << 3 | wire_type)
