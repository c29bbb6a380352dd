"""Rate, errors and durations from the socket to the API and to Prometheus, counted before a sampler takes its share."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.daemon import daemon_in, eventually
from tests.support.requests import EPOCH, Shape, generated_request, spans_of

pytestmark = pytest.mark.soak

RANGE = f"start={EPOCH - 3600 * 10**9}&end={EPOCH + 3600 * 10**9}&step=15m"


def test_all_spans_are_counted_though_a_tenth_is_stored_and_both_ways_of_counting_agree(tmp_path: Path) -> None:
    request = generated_request(Shape(spans=600, spans_per_trace=1, services=3, errors_share=0.1))
    services: Counter[str] = Counter()
    for resource_spans in request.resource_spans:
        name = next(entry.value.string_value for entry in resource_spans.resource.attributes if entry.key == "service.name")
        services[name] += sum(len(scope_spans.spans) for scope_spans in resource_spans.scope_spans)
    errors = sum(span.status.code == Status.STATUS_CODE_ERROR for span in spans_of(request))
    routes = Counter(
        next((entry.value.string_value for entry in span.attributes if entry.key == "http.route"), "")
        for span in spans_of(request)
    )
    assert len(routes) > 1
    with daemon_in(tmp_path) as daemon:
        sampler = {"mode": "equalizing", "sampling_percentage": 12.5}
        daemon.configure(
            processors={"red_metrics": {"dimensions": [{"name": "http.route"}]}, "probabilistic_sampler": sampler}, journal={}
        )
        daemon.start()
        daemon.export(request)
        eventually(
            lambda: daemon.metric("spanhouse_exporter_derived_rows_total", table="otel_red_minute"), "rows that were stored"
        )
        eventually(lambda: daemon.metric("spanhouse_ledger_spans", state="waiting") == 0, "an empty journal")
        document = json.loads(daemon.get(f"/api/v1/red?{RANGE}")[1])
        assert {series["name"]: series["spans"] for series in document["series"]} == services
        assert sum(series["errors"] for series in document["series"]) == errors
        assert daemon.metric("traces_span_metrics_calls_total") == 600
        assert daemon.metric("traces_span_metrics_calls_total", status_code="STATUS_CODE_ERROR") == errors
        assert daemon.metric("traces_span_metrics_duration_milliseconds_bucket", le="+Inf") == 600
        for service, spans in services.items():
            assert daemon.metric("traces_span_metrics_calls_total", service_name=service) == spans
        stored, weighed = daemon.sql("SELECT count(), sum(AdjustedCount) FROM otel_traces").split("\t")
        assert 0 < int(stored) < 150
        assert float(weighed) == 8 * int(stored)
        assert daemon.sql("SELECT sum(Spans) FROM otel_red_quarter_hour") == "600"
        by_route = "SELECT JSONExtractString(Dimensions, 'http.route') AS Route, sum(Spans) FROM otel_red_minute GROUP BY Route"
        found = (line.split("\t") for line in daemon.sql(by_route).splitlines())
        assert {route: int(spans) for route, spans in found} == routes
        of_range = f"time={EPOCH // 10**9 + 3600}"
        query = quote("sum by (http_route) (increase(traces_span_metrics_calls_total[2h]))")
        document = json.loads(daemon.get(f"/prometheus/api/v1/query?query={query}&{of_range}")[1])
        values = {each["metric"].get("http_route", ""): float(each["value"][1]) for each in document["data"]["result"]}
        assert values == routes
        query = quote('sum(increase(traces_span_metrics_calls_total{http_route=~".+/cart"}[2h]))')
        (only,) = json.loads(daemon.get(f"/prometheus/api/v1/query?query={query}&{of_range}")[1])["data"]["result"]
        assert float(only["value"][1]) == routes["/api/cart"]
        dashboard = json.loads(daemon.get(f"/api/v1/workspaces/default/dashboard?{RANGE.rpartition('&')[0]}")[1])
        assert {each["service"] for each in dashboard["services"]} == set(services)
        assert daemon.stop() == 0, daemon.log


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "behind"])
def test_what_tail_sampling_keeps_is_counted_as_the_spans_that_it_stands_for(tmp_path: Path, is_before: bool) -> None:
    request = generated_request(Shape(spans=400, spans_per_trace=2))
    policy = {"name": "quarter", "type": "probabilistic", "probabilistic": {"sampling_percentage": 25}}
    tail = {"decision_wait": "200ms", "policies": [policy]}
    processors = {"red_metrics": None, "tail_sampling": tail} if is_before else {"tail_sampling": tail, "red_metrics": None}
    with daemon_in(tmp_path) as daemon:
        daemon.configure(processors=processors, journal={})
        daemon.start()
        daemon.export(request)
        eventually(
            lambda: daemon.metric("spanhouse_exporter_derived_rows_total", table="otel_red_minute"), "rows that were stored"
        )
        eventually(lambda: daemon.metric("spanhouse_ledger_spans", state="waiting") == 0, "an empty journal")
        stored, weighed = daemon.sql("SELECT count(), sum(AdjustedCount) FROM otel_traces").split("\t")
        counted = float(daemon.sql("SELECT sum(Spans) FROM otel_red_minute"))
        assert 0 < int(stored) < 400
        assert float(weighed) == pytest.approx(4 * int(stored))
        assert counted == pytest.approx(400 if is_before else float(weighed))
        assert daemon.metric("traces_span_metrics_calls_total") == pytest.approx(counted)
        assert daemon.stop() == 0, daemon.log
