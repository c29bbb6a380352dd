"""The processor `filter`: what it drops, what it lets on, and what follows from conditions that fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.base import Processed
from collector.processors.filter import Filter
from config.filtering import FilterProcessor
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.requests import key_values


def batch_of(*spans: dict[str, Any], service: str = "shop") -> SpanBatch:
    """Spans given by their names, attributes, and events: each a name and attributes."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": service}))
    for number, span in enumerate(spans, 1):
        added = resource_spans.scope_spans.add().spans.add(
            trace_id=bytes([number]) * 16,
            span_id=bytes([number]) * 8,
            name=span.get("name", ""),
            attributes=key_values(span.get("attributes", {})),
        )
        for name, attributes in span.get("events", []):
            added.events.add(name=name, attributes=key_values(attributes))
    return decode(request.SerializeToString()).batch


def left_of(batch: SpanBatch | None) -> dict[str, list[str]]:
    """Names of the spans of a batch, each with those of its events, as they would be sent on."""
    if batch is None:
        return {}
    request = ExportTraceServiceRequest.FromString(encode_request(batch))
    scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
    return {span.name: [event.name for event in span.events] for scope in scopes for span in scope.spans}


def filtered(batch: SpanBatch, **settings: Any) -> Processed:
    return Filter(FilterProcessor.model_validate(settings)).process(batch)


SHOP = batch_of(
    {"name": "GET /healthz", "attributes": {"url.path": "/healthz", "user": "x" * 65}, "events": [("exception", {})]},
    {"name": "GET /cart", "events": [("exception", {"exception.type": "TimeoutError"}), ("retry", {})]},
    {"name": "SELECT cart", "attributes": {"user": 5}, "events": [("retry", {"n": 1}), ("retry", {"n": 2})]},
)


def test_spans_are_dropped_for_which_a_condition_holds() -> None:
    done = filtered(SHOP, traces={"span": ['attributes["url.path"] == "/healthz"', 'IsMatch(name, "^SELECT")']})
    assert left_of(done.batch) == {"GET /cart": ["exception", "retry"]}
    assert left_of(done.dropped).keys() == {"GET /healthz", "SELECT cart"}


def test_events_are_dropped_and_spans_without_any_left_stay() -> None:
    conditions = ['name == "exception" and IsMatch(attributes["exception.type"], "Timeout")', 'attributes["n"] != nil']
    done = filtered(SHOP, traces={"spanevent": conditions})
    assert left_of(done.batch) == {"GET /healthz": ["exception"], "GET /cart": ["retry"], "SELECT cart": []}
    assert left_of(done.dropped) == {}


def test_events_keep_their_spans_in_a_piece_in_another_order() -> None:
    done = filtered(SHOP.select(np.array([2, 0])), traces={"spanevent": ['attributes["n"] == 1']})
    assert left_of(done.batch) == {"SELECT cart": ["retry"], "GET /healthz": ["exception"]}
    assert done.batch.spans["events_count"].tolist() == [1, 1]


def test_children_of_dropped_spans_stay_and_name_the_parent_that_is_gone() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, parent in ((1, b""), (2, b"\1" * 8), (3, b"\2" * 8)):
        spans.add(trace_id=b"\1" * 16, span_id=bytes([number]) * 8, parent_span_id=parent, name=str(number))
    done = filtered(decode(request.SerializeToString()).batch, traces={"span": ['name == "2"']})
    left = ExportTraceServiceRequest.FromString(encode_request(done.batch)).resource_spans[0].scope_spans[0].spans
    assert [(span.name, span.parent_span_id) for span in left] == [("1", b""), ("3", b"\2" * 8)]


def test_events_of_dropped_spans_are_not_looked_at() -> None:
    traces = {"span": ['name == "GET /healthz"'], "spanevent": ['Len(attributes["exception.type"]) > 3']}
    done = filtered(SHOP, traces=traces)
    assert left_of(done.batch) == {"GET /cart": ["retry"], "SELECT cart": ["retry", "retry"]}
    # Those of the others are, of which three have no such attribute.
    assert done.failures == {"traces.spanevent[0]": 3}


def test_a_condition_on_the_resource_drops_all_of_it() -> None:
    done = filtered(SHOP, traces={"span": ['resource.attributes["service.name"] == "shop"']})
    assert left_of(done.batch) == {}
    assert len(done.batch) == 0


def test_flat_conditions_are_about_what_their_prefixes_tell() -> None:
    done = filtered(SHOP, trace_conditions=['span.name == "GET /cart"', 'spanevent.name == "retry"'])
    assert left_of(done.batch) == {"GET /healthz": ["exception"], "SELECT cart": []}


@pytest.mark.parametrize("mode", ["ignore", "silent", "propagate"])
def test_a_condition_that_fails_is_counted_and_takes_its_span_along_only_if_that_is_wanted(mode: str) -> None:
    done = filtered(SHOP, error_mode=mode, traces={"span": ['Len(attributes["user"]) > 64', 'name == "GET /cart"']})
    # No user, and a number for a user; the next condition decides on those all the same, unless they are given up.
    assert done.failures == {"traces.span[0]": 2}
    assert bool(done.reasons) == (mode != "silent")
    assert left_of(done.batch).keys() == (set() if mode == "propagate" else {"SELECT cart"})
    assert left_of(done.failed).keys() == ({"GET /cart", "SELECT cart"} if mode == "propagate" else set())
    assert all("expected a string, bytes, list or map" in reason for reason in done.reasons.values())


def test_a_condition_on_an_event_that_fails_takes_its_span_along_if_that_is_wanted() -> None:
    done = filtered(SHOP, error_mode="propagate", traces={"spanevent": ['Len(attributes["exception.type"]) > 3']})
    assert left_of(done.batch) == {}
    assert left_of(done.failed).keys() == {"GET /healthz", "GET /cart", "SELECT cart"}


def test_a_condition_before_the_one_that_fails_spares_it() -> None:
    conditions = ['name != "GET /healthz"', 'Len(attributes["user"]) > 64']
    done = filtered(SHOP, error_mode="propagate", traces={"span": conditions})
    assert done.failures == {}
    assert len(done.batch) == 0


def test_the_older_form_keeps_what_is_included_and_drops_what_is_excluded() -> None:
    include = {"match_type": "regexp", "span_names": ["cart$"]}
    exclude = {"match_type": "strict", "services": ["shop"], "attributes": [{"key": "user", "value": 5}]}
    done = filtered(SHOP, spans={"include": include, "exclude": exclude})
    assert left_of(done.batch).keys() == {"GET /cart"}


def test_nothing_is_copied_where_nothing_is_dropped() -> None:
    assert filtered(SHOP, traces={"span": ['name == "other"'], "spanevent": ['name == "other"']}).batch is SHOP
    assert filtered(SHOP.select(slice(0, 0)), traces={"span": ["true"]}).batch.spans.size == 0
