"""What processors leave of the spans is stored, and the ledger tells what they took away, and which of them did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.requests import EPOCH, Shape, generated_request, key_values, spans_of


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that is not started yet."""
    with daemon_in(tmp_path) as daemon:
        yield daemon


def account(daemon: Daemon) -> dict[str, Any]:
    """The ledger's account of the default workspace, once nothing waits."""

    def settled() -> dict[str, Any] | None:
        (exporter,) = json.loads(daemon.get("/api/v1/ledger")[1])["exporters"]
        (workspace,) = exporter["workspaces"] or [None]
        return workspace if workspace and not workspace["waiting"] else None

    found: dict[str, Any] = eventually(settled, "an account of which nothing waits")
    return found


def test_a_sampler_stores_its_share_and_the_ledger_has_the_rest_under_its_name(stopped: Daemon) -> None:
    """A trace id is kept if its last 56 bits say so; with a journal the account holds as well."""
    settings = {"mode": "proportional", "sampling_percentage": 25}
    stopped.configure(processors={"probabilistic_sampler/quarter": settings}, journal={})
    stopped.start()
    request = generated_request(Shape(spans=800, spans_per_trace=1))
    stopped.export(request)
    expected = {span.span_id.hex() for span in spans_of(request) if span.trace_id[9:] >= bytes.fromhex("c0000000000000")}
    assert 0 < len(expected) < 800
    entry = account(stopped)
    assert (entry["accepted"], entry["stored"]) == (800, len(expected))
    assert entry["dropped"] == {"probabilistic_sampler/quarter": 800 - len(expected)}
    counted = "otelcol_processor_probabilistic_sampler_count_traces_sampled_total"
    assert stopped.metric(counted, policy="trace_id_w3c", sampled="true") == len(expected)
    assert stopped.metric(counted, policy="trace_id_w3c", sampled="false") == 800 - len(expected)
    assert set(stopped.sql("SELECT SpanId FROM otel_traces").split()) == expected
    assert stopped.sql("SELECT DISTINCT TraceState FROM otel_traces") == "ot=th:c"
    assert stopped.stop() == 0, stopped.log


def test_what_is_redacted_is_not_stored(stopped: Daemon) -> None:
    settings = {"allow_all_keys": True, "blocked_values": ["[0-9]{16}"], "blocked_key_patterns": ["secret"], "summary": "info"}
    stopped.configure(processors={"redaction": settings})
    stopped.start()
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="s")
    span.start_time_unix_nano = EPOCH
    span.attributes.extend(key_values({"note": "card 4111111111111111", "secret": 5, "code": 200}))
    span.events.add(time_unix_nano=EPOCH, name="e", attributes=key_values({"card": "4111111111111111"}))
    stopped.export(request)
    assert account(stopped)["stored"] == 1
    row = stopped.sql("SELECT toJSONString(SpanAttributes), toJSONString(Events.Attributes) FROM otel_traces FORMAT TSVRaw")
    attributes, events = map(json.loads, row.split("\t"))
    assert attributes == {"note": "card ****", "secret": "****", "code": "200", "redaction.masked.count": "2"}
    assert events == [{"card": "****", "redaction.masked.count": "1"}]
    assert stopped.stop() == 0, stopped.log


def test_what_is_above_limits_is_not_stored_and_shows(stopped: Daemon) -> None:
    stopped.configure(processors={"limits": {"max_value_bytes": 16, "max_attributes": 2, "max_events": 3}})
    stopped.start()
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="s")
    span.start_time_unix_nano = EPOCH
    span.attributes.extend(key_values({"note": "ü" * 20, "code": 200, "third": 3}))
    for _ in range(5):
        span.events.add(time_unix_nano=EPOCH, name="e")
    stopped.export(request)
    assert account(stopped)["stored"] == 1
    row = stopped.sql("SELECT toJSONString(SpanAttributes), length(Events.Name) FROM otel_traces FORMAT TSVRaw")
    attributes, events = map(json.loads, row.split("\t"))
    assert (attributes, events) == ({"note": "ü" * 6 + "…", "code": "200"}, 3)
    for change, count in (("value_cut", 1), ("too_many_attributes", 1), ("too_many_events", 2)):
        assert stopped.metric("spanhouse_processor_changes_total", processor="limits", change=change) == count
    assert stopped.stop() == 0, stopped.log


def test_spans_are_stored_under_the_names_that_they_were_given(stopped: Daemon) -> None:
    rules = {"rules": ["^GET /orders/(?P<order_id>[^/]+)/items$$"]}
    settings = {"name": {"to_attributes": rules}, "status": {"code": "Error", "description": "ordered"}}
    stopped.configure(processors={"span": settings})
    stopped.start()
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="GET /orders/4711/items", start_time_unix_nano=EPOCH)
    stopped.export(request)
    assert account(stopped)["stored"] == 1
    row = stopped.sql("SELECT SpanName, SpanAttributes['order_id'], StatusCode, StatusMessage FROM otel_traces FORMAT TSVRaw")
    assert row.split("\t") == ["GET /orders/{order_id}/items", "4711", "Error", "ordered"]
    assert stopped.stop() == 0, stopped.log


def test_attributes_of_spans_and_resources_are_stored_as_they_were_changed(stopped: Daemon) -> None:
    actions = [
        {"key": "tenant", "action": "insert", "value": "none"},
        {"key": "user", "action": "hash"},
        {"key": "secret", "action": "delete"},
        {"key": "code", "action": "convert", "converted_type": "int"},
    ]
    named = [{"key": "service.name", "action": "update", "from_attribute": "app"}, {"pattern": "^host", "action": "delete"}]
    chosen = {"match_type": "strict", "span_names": ["chosen"]}
    stopped.configure(processors={"attributes": {"include": chosen, "actions": actions}, "resource": {"attributes": named}})
    stopped.start()
    request, random = ExportTraceServiceRequest(), Random(1)
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "old", "app": "new", "host.name": "h", "os": "l"}))
    spans = resource_spans.scope_spans.add().spans
    for name in ("chosen", "other"):
        span = spans.add(trace_id=random.randbytes(16), span_id=random.randbytes(8), name=name, start_time_unix_nano=EPOCH)
        span.attributes.extend(key_values({"user": "me", "secret": "s", "code": "200"}))
    stopped.export(request)
    entry = account(stopped)
    services = {each["service"]: (each["accepted"], each["renamed"], each["stored"]) for each in entry["services"]}
    assert (entry["stored"], services) == (2, {"new": (0, 2, 2), "old": (2, -2, 0)})
    rows = stopped.sql(
        "SELECT SpanName, ServiceName, toJSONString(mapSort(SpanAttributes)), toJSONString(mapSort(ResourceAttributes))"
        " FROM otel_traces ORDER BY SpanName FORMAT TSVRaw"
    )
    resource = {"app": "new", "os": "l", "service.name": "new"}
    hashed = "b1c1d8736f20db3fb6c1c66bb1455ed43909f0d8"
    chosen_row, other_row = (row.split("\t") for row in rows.splitlines())
    assert (chosen_row[:2], json.loads(chosen_row[3])) == (["chosen", "new"], resource)
    assert json.loads(chosen_row[2]) == {"code": "200", "tenant": "none", "user": hashed}
    assert (other_row[:2], json.loads(other_row[3])) == (["other", "new"], resource)
    assert json.loads(other_row[2]) == {"code": "200", "secret": "s", "user": "me"}
    assert stopped.stop() == 0, stopped.log


def test_what_is_transformed_is_stored_as_it_is_then_and_a_service_under_its_new_name(stopped: Daemon) -> None:
    statements = [
        'set(span.attributes["size"], Len(span.attributes["note"]))',
        'replace_all_patterns(span.attributes, "value", "[0-9]{16}", "<card>")',
        'set(resource.attributes["service.name"], span.attributes["of"]) where span.attributes["of"] != nil',
        {
            "context": "span",
            "conditions": ["kind == SPAN_KIND_SERVER"],
            "statements": ['set(name, "served")', "set(status.code, 2)"],
        },
        'set(span.attributes["list"], Split("a,b", ","))',
    ]
    stopped.configure(processors={"transform": {"trace_statements": statements}}, journal={})
    stopped.start()
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    spans = resource_spans.scope_spans.add().spans
    for number, attributes in enumerate([{"note": "card 4111111111111111"}, {"of": "mail"}], 1):
        ids = {"trace_id": bytes([number]) * 16, "span_id": bytes([number]) * 8}
        spans.add(**ids, name="s", kind=number + 1, start_time_unix_nano=EPOCH, attributes=key_values(attributes))
    stopped.export(request)
    assert account(stopped)["stored"] == 2
    columns = "ServiceName, SpanName, StatusCode, toJSONString(SpanAttributes)"
    rows = stopped.sql(f"SELECT {columns} FROM otel_traces ORDER BY SpanId FORMAT TSVRaw").splitlines()
    first, second = (row.split("\t") for row in rows)
    assert first[:3] == ["shop", "served", "Error"]
    assert json.loads(first[3]) == {"note": "card <card>", "size": "21", "list": '["a","b"]'}
    assert second[:3] == ["mail", "s", "Unset"]
    assert json.loads(second[3]) == {"of": "mail", "list": '["a","b"]'}
    failures = {"processor": "transform", "exporter": "clickhouse", "rule": "trace_statements[0]"}
    assert stopped.metric("spanhouse_processor_failures_total", **failures) == 1
    assert stopped.stop() == 0, stopped.log
