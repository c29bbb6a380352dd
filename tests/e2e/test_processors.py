"""What processors leave of the spans is stored, and the ledger tells what they took away, and which of them did."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.requests import EPOCH, Shape, generated_request, key_values, spans_of


@dataclass(frozen=True)
class Tenant:
    """Whose spans those of one test are: a workspace of a daemon that all tests share, each with processors of its own."""

    daemon: Daemon
    workspace: str

    def use(self, processors: Mapping[str, Any]) -> None:
        """Have spans meet these from now on."""
        self.daemon.configure(processors=processors, journal={})
        status, answer = self.daemon.reload()
        assert (status, answer["atRestart"]) == (200, []), answer

    def export(self, request: ExportTraceServiceRequest) -> None:
        self.daemon.export(request, self.workspace)

    def account(self) -> dict[str, Any]:
        """The ledger's account of the workspace, once nothing waits."""

        def settled() -> dict[str, Any] | None:
            (exporter,) = json.loads(self.daemon.get("/api/v1/ledger")[1])["exporters"]
            found = (each for each in exporter["workspaces"] if each["workspace"] == self.workspace and not each["waiting"])
            return next(found, None)

        account: dict[str, Any] = eventually(settled, "an account of which nothing waits")
        return account

    def rows(self, columns: str) -> list[list[str]]:
        """These columns of the spans that are stored, in order of span ids."""
        source = f"otel_traces WHERE Workspace = '{self.workspace}' ORDER BY SpanId"
        return [row.split("\t") for row in self.daemon.sql(f"SELECT {columns} FROM {source} FORMAT TSVRaw").splitlines()]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with a journal, and no processors yet."""
    with daemon_in(tmp_path_factory.mktemp("processors")) as daemon:
        daemon.configure(journal={})
        daemon.start()
        yield daemon
        assert daemon.stop() == 0, daemon.log


@pytest.fixture
def tenant(daemon: Daemon) -> Tenant:
    return Tenant(daemon, uuid4().hex)


def test_a_sampler_stores_its_share_and_the_ledger_has_the_rest_under_its_name(tenant: Tenant) -> None:
    """A trace id is kept if its last 56 bits say so; with a journal the account holds as well."""
    settings = {"mode": "proportional", "sampling_percentage": 25}
    tenant.use({"probabilistic_sampler/quarter": settings})
    request = generated_request(Shape(spans=800, spans_per_trace=1))
    tenant.export(request)
    expected = {span.span_id.hex() for span in spans_of(request) if span.trace_id[9:] >= bytes.fromhex("c0000000000000")}
    assert 0 < len(expected) < 800
    entry = tenant.account()
    assert (entry["accepted"], entry["stored"]) == (800, len(expected))
    assert entry["dropped"] == {"probabilistic_sampler/quarter": 800 - len(expected)}
    counted = "otelcol_processor_probabilistic_sampler_count_traces_sampled_total"
    assert tenant.daemon.metric(counted, policy="trace_id_w3c", sampled="true") == len(expected)
    assert tenant.daemon.metric(counted, policy="trace_id_w3c", sampled="false") == 800 - len(expected)
    assert tenant.rows("SpanId, TraceState") == [[span_id, "ot=th:c"] for span_id in sorted(expected)]


def test_what_is_redacted_is_not_stored(tenant: Tenant) -> None:
    settings = {"allow_all_keys": True, "blocked_values": ["[0-9]{16}"], "blocked_key_patterns": ["secret"], "summary": "info"}
    tenant.use({"redaction": settings})
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="s")
    span.start_time_unix_nano = EPOCH
    span.attributes.extend(key_values({"note": "card 4111111111111111", "secret": 5, "code": 200}))
    span.events.add(time_unix_nano=EPOCH, name="e", attributes=key_values({"card": "4111111111111111"}))
    tenant.export(request)
    assert tenant.account()["stored"] == 1
    (row,) = tenant.rows("toJSONString(SpanAttributes), toJSONString(Events.Attributes)")
    attributes, events = map(json.loads, row)
    assert attributes == {"note": "card ****", "secret": "****", "code": "200", "redaction.masked.count": "2"}
    assert events == [{"card": "****", "redaction.masked.count": "1"}]


def test_what_is_above_limits_is_not_stored_and_shows(tenant: Tenant) -> None:
    tenant.use({"limits": {"max_value_bytes": 16, "max_attributes": 2, "max_events": 3}})
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="s")
    span.start_time_unix_nano = EPOCH
    span.attributes.extend(key_values({"note": "ü" * 20, "code": 200, "third": 3}))
    for _ in range(5):
        span.events.add(time_unix_nano=EPOCH, name="e")
    tenant.export(request)
    assert tenant.account()["stored"] == 1
    (row,) = tenant.rows("toJSONString(SpanAttributes), length(Events.Name)")
    attributes, events = map(json.loads, row)
    assert (attributes, events) == ({"note": "ü" * 6 + "…", "code": "200"}, 3)
    for change, count in (("value_cut", 1), ("too_many_attributes", 1), ("too_many_events", 2)):
        assert tenant.daemon.metric("spanhouse_processor_changes_total", processor="limits", change=change) == count


def test_spans_are_stored_under_the_names_that_they_were_given(tenant: Tenant) -> None:
    rules = {"rules": ["^GET /orders/(?P<order_id>[^/]+)/items$$"]}
    settings = {"name": {"to_attributes": rules}, "status": {"code": "Error", "description": "ordered"}}
    tenant.use({"span": settings})
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="GET /orders/4711/items", start_time_unix_nano=EPOCH)
    tenant.export(request)
    assert tenant.account()["stored"] == 1
    (row,) = tenant.rows("SpanName, SpanAttributes['order_id'], StatusCode, StatusMessage")
    assert row == ["GET /orders/{order_id}/items", "4711", "Error", "ordered"]


def test_attributes_of_spans_and_resources_are_stored_as_they_were_changed(tenant: Tenant) -> None:
    actions = [
        {"key": "tenant", "action": "insert", "value": "none"},
        {"key": "user", "action": "hash"},
        {"key": "secret", "action": "delete"},
        {"key": "code", "action": "convert", "converted_type": "int"},
    ]
    named = [{"key": "service.name", "action": "update", "from_attribute": "app"}, {"pattern": "^host", "action": "delete"}]
    chosen = {"match_type": "strict", "span_names": ["chosen"]}
    tenant.use({"attributes": {"include": chosen, "actions": actions}, "resource": {"attributes": named}})
    request, random = ExportTraceServiceRequest(), Random(1)
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "old", "app": "new", "host.name": "h", "os": "l"}))
    spans = resource_spans.scope_spans.add().spans
    for name in ("chosen", "other"):
        span = spans.add(trace_id=random.randbytes(16), span_id=random.randbytes(8), name=name, start_time_unix_nano=EPOCH)
        span.attributes.extend(key_values({"user": "me", "secret": "s", "code": "200"}))
    tenant.export(request)
    entry = tenant.account()
    services = {each["service"]: (each["accepted"], each["renamed"], each["stored"]) for each in entry["services"]}
    assert (entry["stored"], services) == (2, {"new": (0, 2, 2), "old": (2, -2, 0)})
    rows = tenant.rows("SpanName, ServiceName, toJSONString(mapSort(SpanAttributes)), toJSONString(mapSort(ResourceAttributes))")
    resource = {"app": "new", "os": "l", "service.name": "new"}
    hashed = "b1c1d8736f20db3fb6c1c66bb1455ed43909f0d8"
    chosen_row, other_row = sorted(rows)
    assert (chosen_row[:2], json.loads(chosen_row[3])) == (["chosen", "new"], resource)
    assert json.loads(chosen_row[2]) == {"code": "200", "tenant": "none", "user": hashed}
    assert (other_row[:2], json.loads(other_row[3])) == (["other", "new"], resource)
    assert json.loads(other_row[2]) == {"code": "200", "secret": "s", "user": "me"}


def test_what_is_transformed_is_stored_as_it_is_then_and_a_service_under_its_new_name(tenant: Tenant) -> None:
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
    tenant.use({"transform": {"trace_statements": statements}})
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    spans = resource_spans.scope_spans.add().spans
    for number, attributes in enumerate([{"note": "card 4111111111111111"}, {"of": "mail"}], 1):
        ids = {"trace_id": bytes([number]) * 16, "span_id": bytes([number]) * 8}
        spans.add(**ids, name="s", kind=number + 1, start_time_unix_nano=EPOCH, attributes=key_values(attributes))
    tenant.export(request)
    assert tenant.account()["stored"] == 2
    first, second = tenant.rows("ServiceName, SpanName, StatusCode, toJSONString(SpanAttributes)")
    assert first[:3] == ["shop", "served", "Error"]
    assert json.loads(first[3]) == {"note": "card <card>", "size": "21", "list": '["a","b"]'}
    assert second[:3] == ["mail", "s", "Unset"]
    assert json.loads(second[3]) == {"of": "mail", "list": '["a","b"]'}
    failures = {"processor": "transform", "exporter": "clickhouse", "rule": "trace_statements[0]"}
    assert tenant.daemon.metric("spanhouse_processor_failures_total", **failures) == 1
