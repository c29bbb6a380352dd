"""Whose spans a batch holds."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from exporters.tally import MOST_SERVICE_BYTES, apportioned, by_workspace, owner_of, service_of, spans_by_owner, workspace_of
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.batches import numbered
from tests.support.requests import any_value


def request(*resources: tuple[object, int], workspace: str = "shop") -> SpanBatch:
    """Spans of resources, each with its service.name (None for none) and the number of its spans."""
    message = ExportTraceServiceRequest()
    for service, spans in resources:
        resource_spans = message.resource_spans.add()
        if service is not None:
            resource_spans.resource.attributes.add(key="service.name", value=any_value(service))
        scope_spans = resource_spans.scope_spans.add()
        for number in range(spans):
            scope_spans.spans.add(trace_id=(number + 1).to_bytes(16), span_id=(number + 1).to_bytes(8))
    return decode(message.SerializeToString(), workspace).batch


@settings(deadline=None)
@given(st.lists(st.tuples(st.none() | st.text(max_size=20), st.integers(0, 5)), max_size=5))
def test_every_span_is_counted_for_its_service(resources: list[tuple[str | None, int]]) -> None:
    counts: dict[str, int] = {}
    for service, spans in resources:
        if spans:
            owner = owner_of("shop", service or "")
            counts[owner] = counts.get(owner, 0) + spans
    assert spans_by_owner(request(*resources)) == counts


def test_workspaces_and_selections_are_told_apart() -> None:
    batch = concatenate([numbered(0, 3, workspace="red"), numbered(3, 2, workspace="blue"), numbered(5, 1, service="")])
    assert spans_by_owner(batch) == {"red/numbers": 3, "blue/numbers": 2, "default": 1}
    assert spans_by_owner(batch.select(slice(2, 4))) == {"red/numbers": 1, "blue/numbers": 1}
    # Where all resources of a request are in one workspace, only its name is changed.
    assert spans_by_owner(dataclasses.replace(numbered(0, 2), workspaces=("green",))) == {"green/numbers": 2}


@pytest.mark.parametrize("service", [None, "", 7, True, b"bytes", ["cart"]])
def test_a_resource_without_a_text_for_its_service_has_none(service: object) -> None:
    assert spans_by_owner(request((service, 2))) == {"shop": 2}


def test_long_names_are_cut_between_characters() -> None:
    (owner,) = spans_by_owner(request(("x" + "é" * MOST_SERVICE_BYTES, 1)))
    assert service_of(owner) == "x" + "é" * ((MOST_SERVICE_BYTES - 1) // 2)


def test_an_owner_is_taken_apart_as_it_was_made() -> None:
    assert (workspace_of("shop/a/b"), service_of("shop/a/b")) == ("shop", "a/b")
    assert (workspace_of("shop"), service_of("shop")) == ("shop", "")
    assert by_workspace(["shop/b", "a/x", "shop", "a-b/y"]) == {"a": ["a/x"], "a-b": ["a-b/y"], "shop": ["shop", "shop/b"]}


@given(st.integers(0, 2**40), st.dictionaries(st.text(max_size=3), st.integers(0, 2**40), max_size=6))
def test_spans_of_nobody_knows_whom_are_shared_out_whole_and_as_evenly_as_can_be(spans: int, owners: dict[str, int]) -> None:
    shares, total = apportioned(spans, owners), sum(owners.values())
    assert shares.total() == min(spans, total)
    for owner, count in owners.items():
        assert abs(shares[owner] * total - min(spans, total) * count) < total or shares[owner] == count == 0
        assert shares[owner] <= count
