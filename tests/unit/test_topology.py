"""Calls between services, compared with a look at one span after the other, however spans are cut into pieces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.calls import CONNECTIONS, NODES, CallsOfBatch
from collector.processors.topology.calls import find_calls
from collector.processors.topology.peers import PeerAttributes
from collector.processors.topology.rows import derived_rows
from proto.join import concatenate
from proto.native_columns import NumberMaps, Strings
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.scenes import scene
from tests.support.topology import SETTINGS, PlainSpan, calls_in, calls_of, plain_spans
from tests.support.traces import all_traces, each_trace, read_trace

ATTRIBUTES = PeerAttributes(SETTINGS.database_name_attributes, SETTINGS.virtual_node_peer_attributes)


def found_in(batch: SpanBatch) -> CallsOfBatch:
    return find_calls(batch, ATTRIBUTES)


def pieces_of(batch: SpanBatch, rows: Sequence[int], cuts: Sequence[int]) -> list[CallsOfBatch]:
    """What pieces tell that have the rows of a batch in this order, cut at these places."""
    return [found_in(batch.select(part)) for part in np.split(np.array(rows, np.int64), sorted(cuts))]


def shares_ids(spans: Sequence[PlainSpan]) -> bool:
    return len({(each.span.trace_id, each.span.span_id) for each in spans}) < len(spans)


@pytest.mark.parametrize("name", each_trace())
def test_the_calls_of_real_traces_are_those_that_a_look_at_each_span_finds_however_they_are_cut(name: str) -> None:
    trace = read_trace(name)
    spans = list(plain_spans(trace.message))
    batch = decode(trace.body).batch
    expected = calls_of(spans)
    assert calls_in([found_in(batch)]) == expected
    if shares_ids(spans):
        # Of those that share their ids only a piece that has all of them knows which of them called.
        return
    random = np.random.default_rng(len(batch))
    for pieces in (2, 7):
        rows = random.permutation(len(batch)) if pieces == 7 else np.arange(len(batch))
        cuts = random.integers(0, len(batch) + 1, pieces - 1)
        assert calls_in(pieces_of(batch, rows.tolist(), cuts.tolist())) == expected


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    """Few spans of few services, each the child of any other, with links, peers and databases."""
    count = draw(st.integers(1, 14))
    request = ExportTraceServiceRequest()
    places = []
    for service in ("", "web", "cart", "mail"):
        resource_spans = request.resource_spans.add()
        if service:
            resource_spans.resource.attributes.add(key="service.name").value.string_value = service
        places.append(resource_spans.scope_spans.add().spans)
    kinds = {number: draw(st.integers(0, 5)) for number in range(1, count + 1)}
    # A caller that is internal is known in its piece alone.
    callers = [number for number, kind in kinds.items() if kind != Span.SPAN_KIND_INTERNAL]
    for number, kind in kinds.items():
        span = draw(st.sampled_from(places)).add(
            trace_id=bytes(15) + b"\1", span_id=number.to_bytes(8, "big"), kind=kind, start_time_unix_nano=60_000_000_000 * number
        )
        span.end_time_unix_nano = span.start_time_unix_nano + number
        parent = draw(st.sampled_from([0, 99, *callers]))
        if parent and parent != number:
            span.parent_span_id = parent.to_bytes(8, "big")
        for link in draw(st.lists(st.sampled_from([99, *callers]), max_size=2, unique=True)):
            span.links.add(trace_id=bytes(15) + b"\1", span_id=link.to_bytes(8, "big"))
        for key in draw(st.lists(st.sampled_from(["db.name", "db.system", "peer.service", "server.address", "x"]), max_size=2)):
            span.attributes.add(key=key).value.string_value = draw(st.sampled_from(["", f"{key}-a", "cart"]))
        span.status.code = draw(st.sampled_from([Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR]))
    return request


@given(requests(), st.data())
@settings(max_examples=150, deadline=None)
def test_pieces_tell_of_the_same_calls_whatever_the_cuts_and_the_order(
    request: ExportTraceServiceRequest, data: st.DataObject
) -> None:
    batch = decode(request.SerializeToString()).batch
    rows = data.draw(st.permutations(range(len(batch))))
    cuts = data.draw(st.lists(st.integers(0, len(batch)), max_size=4))
    assert calls_in(pieces_of(batch, rows, cuts)) == calls_of(list(plain_spans(request)))


def test_rows_of_minutes_sum_up_the_calls_of_a_piece() -> None:
    batch = concatenate([decode(trace.body, workspace).batch for trace in all_traces()[:40] for workspace in ("one", "two")])
    found = found_in(batch)
    (rows,) = (rows for rows in derived_rows(found) if rows.table == "otel_topology_minute")
    expected: dict[tuple[object, ...], list[dict[str, float]]] = defaultdict(list)
    for values in found.edges.tolist():
        edge = dict(zip(found.edges.dtype.names or (), values, strict=True))
        ends = found.names[edge["client"]], found.names[edge["server"]]
        minute = edge["start"] // 60_000_000_000 * 60
        expected[found.workspaces[edge["workspace"]], minute, *ends, CONNECTIONS[edge["connection"]], NODES[edge["node"]]] += [
            edge
        ]
    columns = {column.name: list(values_of(column.values)) for column in rows.columns}
    keys = list(
        zip(*(columns[name] for name in ("Workspace", "Minute", "Client", "Server", "ConnectionType", "Node")), strict=True)
    )
    assert sorted(keys) == sorted(expected)
    assert rows.times.tolist() == columns["Minute"]
    for row, key in enumerate(keys):
        edges, node = expected[key], key[5]
        assert columns["Calls"][row] == len(edges)
        assert columns["FailedCalls"][row] == sum(edge["failed"] for edge in edges)
        for side, is_told in (("Client", node != "user"), ("Server", node in ("", "user", "database"))):
            durations = [edge[f"{side.lower()}_duration"] for edge in edges] if is_told else [0]
            assert columns[f"{side}DurationSum"][row] == sum(durations)
            assert columns[f"{side}DurationMin"][row] == min(durations)
            assert columns[f"{side}DurationMax"][row] == max(durations)
            assert sum(columns[f"{side}DurationSketch"][row].values()) == (len(edges) if is_told else 0)


def values_of(values: Any) -> Iterator[Any]:
    """The values of a column, one a row."""
    if isinstance(values, Strings):
        yield from (values.texts[code] for code in values.codes.tolist())
    elif isinstance(values, NumberMaps):
        start = 0
        for count in values.counts.tolist():
            places = slice(start, start + count)
            yield dict(zip(values.keys[places].tolist(), values.values[places].tolist(), strict=True))
            start += count
    else:
        yield from values.tolist()


def test_long_names_are_cut_between_characters() -> None:
    request = scene(f"web CLIENT s1 <p peer.service={'ä' * 100}")
    assert found_in(decode(request.SerializeToString()).batch).names == ["web", "ä" * 64, "user"]
