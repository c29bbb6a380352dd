"""What was counted of spans, as Prometheus reads it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.clock import Clock
from collector.span_metrics import SeriesSettings, SpanMeasures
from collector.telemetry import Telemetry

SETTINGS = SeriesSettings(("http_route",), (2_000_000, 1_400_000_000), "ms", 3, 60.0)


def series(name: str, count: float = 1, service: str = "shop", settings: SeriesSettings = SETTINGS) -> SpanMeasures:
    """So many spans of a second each, in one series."""
    labels = [("default", service, name, "Server", "Unset", "/x")]
    return SpanMeasures(settings, labels, np.array([count]), np.array([count * 1e9]), np.array([[0.0, count, 0.0]]))


def shown(telemetry: Telemetry, sample: str = "traces_span_metrics_calls_total") -> dict[tuple[str, ...], float]:
    """Service, operation and whether it stands for others → value, of the samples with this name."""
    names = ("service_name", "span_name", "otel_metric_overflow")
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return {
        tuple(one.labels.get(name, "") for name in names): one.value
        for family in families
        for one in family.samples
        if one.name == sample
    }


def test_series_have_the_names_and_labels_that_dashboards_for_the_collector_ask_for() -> None:
    telemetry = Telemetry("1.0")
    telemetry.measured(series("buy", 3))
    telemetry.measured(series("buy", 1.5))
    families = {family.name: family for family in text_string_to_metric_families(telemetry.exposition().decode())}
    (calls,) = families["traces_span_metrics_calls"].samples
    assert calls.labels == {
        "workspace": "default",
        "service_name": "shop",
        "span_name": "buy",
        "span_kind": "SPAN_KIND_SERVER",
        "status_code": "STATUS_CODE_UNSET",
        "otel_metric_overflow": "",
        "http_route": "/x",
    }
    assert (calls.name, calls.value) == ("traces_span_metrics_calls_total", 4.5)
    durations = families["traces_span_metrics_duration_milliseconds"].samples
    assert {(one.name.rpartition("_")[2], one.labels.get("le")): one.value for one in durations} == {
        ("bucket", "2"): 0,
        ("bucket", "1400"): 4.5,
        ("bucket", "+Inf"): 4.5,
        ("count", None): 4.5,
        ("sum", None): 4500,
    }


def test_the_unit_is_in_the_name() -> None:
    telemetry = Telemetry("1.0")
    telemetry.measured(series("buy", 2, settings=replace(SETTINGS, unit="s")))
    assert shown(telemetry, "traces_span_metrics_duration_seconds_sum") == {("shop", "buy", ""): 2}


def test_nothing_is_shown_where_nothing_is_counted() -> None:
    assert b"traces_span_metrics" not in Telemetry("1.0").exposition()


def test_there_are_no_more_series_than_are_allowed_and_every_span_is_counted() -> None:
    telemetry = Telemetry("1.0")
    for number in range(10):
        telemetry.measured(series(f"op {number}", service=f"shop {number // 2}"))
    telemetry.measured(series("op 0", service="shop 0"))
    assert shown(telemetry) == {
        ("shop 0", "op 0", ""): 2,
        ("shop 0", "op 1", ""): 1,
        ("shop 1", "op 2", ""): 1,
        ("shop 1", "", "true"): 1,
        ("shop 2", "", "true"): 2,
        ("shop 3", "", "true"): 2,
        ("", "", "true"): 2,
    }


def test_a_series_ends_some_time_after_its_last_span() -> None:
    now_s = 1000.0
    telemetry = Telemetry("1.0", Clock(monotonic=lambda: now_s))
    telemetry.measured(series("a"))
    now_s += 50
    telemetry.measured(series("b"))
    now_s += 40
    telemetry.measured(series("b"))
    assert shown(telemetry) == {("shop", "b", ""): 2}
    now_s += 50
    assert shown(telemetry) == {("shop", "b", ""): 2}
    now_s += 50
    assert shown(telemetry) == {}


@pytest.mark.parametrize("expiration_s", [0.0, 1000.0])
def test_a_series_stays_where_that_is_wanted(expiration_s: float) -> None:
    now_s = 1000.0
    settings = replace(SETTINGS, expiration_s=expiration_s)
    telemetry = Telemetry("1.0", Clock(monotonic=lambda: now_s))
    telemetry.measured(series("a", settings=settings))
    now_s += 900
    telemetry.measured(series("b", settings=settings))
    assert shown(telemetry) == {("shop", "a", ""): 1, ("shop", "b", ""): 1}


def test_other_settings_begin_anew() -> None:
    telemetry = Telemetry("1.0")
    telemetry.measured(series("a"))
    telemetry.measured(series("b", settings=replace(SETTINGS, max_series=4)))
    assert shown(telemetry) == {("shop", "b", ""): 1}
