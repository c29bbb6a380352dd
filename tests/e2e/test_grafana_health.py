"""The dashboard of the collectors asks Prometheus for what `/metrics` of a running daemon has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.grafana import DASHBOARDS
from collector.metrics import METRICS
from tests.support.daemon import daemon_in, eventually
from tests.support.grafana import Choice, View, panels_of, variables_of
from tests.support.requests import Shape, generated_request

HEALTH = DASHBOARDS["collector-health.json"]
OF_PROMETHEUS = {"instance", "job"}
QUERIES = [
    pytest.param(target, id=f"{panel['title']} {target['refId']}") for panel in panels_of(HEALTH) for target in panel["targets"]
]


def labels_of_all() -> dict[str, set[str]]:
    """Every series that the daemon can show, and its labels, Prometheus' own included."""
    series = {}
    for metric in METRICS:
        labels = {*metric.labels, *OF_PROMETHEUS}
        if metric.kind == "histogram":
            series |= {f"{metric.name}_bucket": {*labels, "le"}, f"{metric.name}_sum": labels, f"{metric.name}_count": labels}
        else:
            series[metric.name + ("_total" if metric.kind == "counter" else "")] = labels
    return series


def nodes_of(expression: promql_parser.Expr) -> list[Any]:
    nodes: list[Any] = []
    promql_parser.walk(expression, lambda node: nodes.append(node))
    return nodes


def selectors_of(expression: promql_parser.Expr) -> Iterator[promql_parser.VectorSelector]:
    return (node for node in nodes_of(expression) if isinstance(node, promql_parser.VectorSelector))


def parsed(text: str) -> promql_parser.Expr:
    view = View(0, 3600, variables={"instance": Choice(("localhost:4319",), is_all=True)})
    return promql_parser.parse(view.expand_promql(text))


@pytest.mark.parametrize("target", QUERIES)
def test_a_query_names_metrics_and_labels_that_there_are(target: Mapping[str, Any]) -> None:
    known = labels_of_all()
    expression = parsed(target["expr"])
    selectors = list(selectors_of(expression))
    assert selectors
    for selector in selectors:
        assert {matcher.name for matcher in selector.matchers.matchers} == {"instance"}
        for node in nodes_of(expression):
            if isinstance(node, promql_parser.AggregateExpr):
                assert node.modifier is not None
                assert set(node.modifier.labels) <= known[selector.name or ""], selector.name
    kept = set.intersection(
        *(set(node.modifier.labels) for node in nodes_of(expression) if isinstance(node, promql_parser.AggregateExpr))
    )
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == kept - {"le"}


def test_a_daemon_shows_what_the_queries_name(tmp_path: Path) -> None:
    asked = {selector.name for query in QUERIES for selector in selectors_of(parsed(query.values[0]["expr"]))}
    instance = re.fullmatch(r"label_values\((\w+), instance\)", variables_of(HEALTH)["instance"]["query"]["query"])
    assert instance is not None
    policy = {"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}
    processors = {"tail_sampling": {"decision_wait": "200ms", "policies": [policy]}}
    with daemon_in(tmp_path) as daemon:
        daemon.configure(processors=processors, journal={})
        daemon.start()
        daemon.export(generated_request(Shape(spans=400, spans_per_trace=2)))
        daemon.post(b"no request", "application/x-protobuf")
        eventually(lambda: daemon.metric("otelcol_exporter_sent_spans_total"), "spans that were stored")
        text = daemon.get("/metrics")[1].decode()
        assert daemon.stop() == 0, daemon.log
    shown: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            shown.setdefault(sample.name, set()).update(sample.labels)
    known = labels_of_all()
    for name in {*asked, instance[1]} & set(shown):
        assert shown[name] == known[name or ""] - OF_PROMETHEUS, name
    # The others count what did not happen.
    silent = ("refused", "throttled", "failed_spans", "retries", "dropped", "dead_letter", "failures", "too_early")
    assert all(any(word in str(name) for word in silent) for name in {*asked, instance[1]} - set(shown))
