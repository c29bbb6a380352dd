"""Every query of the dashboards, as Grafana sends it, through an account that may read one workspace, on real traces."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import clickhouse_connect
import numpy as np
import pytest

from collector.grafana import DASHBOARDS
from collector.sketch import RELATIVE_ERROR
from tests.support.grafana import Choice, View, panels_of, variables_of
from tests.support.grafana_store import OTHER, WORKSPACE, Store, plain_spans_of
from tests.support.topology import calls_of

SQL = {name: dashboard for name, dashboard in DASHBOARDS.items() if "clickhouse" in json.dumps(dashboard["templating"])}
KINDS = Choice(("Server", "Consumer", "Client", "Producer", "Internal", "Unspecified"))
Row = dict[str, Any]


@pytest.fixture(scope="module")
def service(grafana: Store) -> str:
    """A service that calls others, with failed spans."""
    statement = """
        WITH calls AS (SELECT Client, Node FROM otel_topology_minute UNION ALL SELECT Client, Node FROM otel_topology_settled)
        SELECT Client FROM calls WHERE Node = '' AND Client IN
            (SELECT ServiceName FROM otel_traces GROUP BY ServiceName HAVING countIf(StatusCode = 'Error') > 0)
        ORDER BY Client LIMIT 1"""
    return str(grafana.ask(statement)["data"][0]["Client"])


def values_of(grafana: Store, variable: Mapping[str, Any], view: View) -> tuple[str, ...]:
    """What somebody can choose of a variable that a query fills."""
    answer = grafana.ask(view.expand(variable["query"]["rawSql"]))
    (column,) = answer["meta"]
    return tuple(row[column["name"]] for row in answer["data"])


def looking_at(grafana: Store, service: str, *, workspace: str = WORKSPACE, one_operation: bool = False) -> View:
    """The dashboards with all operations of a service, or one of them, and a trace of it."""
    of_service = f"ServiceName = '{service}'"
    found = grafana.ask(f"SELECT SpanName, TraceId FROM otel_traces WHERE {of_service} ORDER BY SpanName, TraceId LIMIT 1")[
        "data"
    ][0]
    variables = {
        "workspace": Choice(workspace),
        "service": Choice(service),
        "kind": KINDS,
        "operation": Choice((found["SpanName"],), is_all=not one_operation),
        "trace": Choice(found["TraceId"].upper()),
    }
    return replace(grafana.view, variables=variables)


def answers_of(grafana: Store, dashboard: Mapping[str, Any], view: View) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Panels, and what each of their queries is answered."""
    for panel in panels_of(dashboard):
        for target in panel["targets"]:
            yield panel, grafana.ask(view.expand(target["rawSql"]))


def panel_rows(grafana: Store, name: str, title: str, view: View, *, kind: str, query: int = 0) -> list[Row]:
    """The answer to one panel's query."""
    (panel,) = (panel for panel in panels_of(DASHBOARDS[name]) if (panel["title"], panel["type"]) == (title, kind))
    rows: list[Row] = grafana.ask(view.expand(panel["targets"][query]["rawSql"]))["data"]
    return rows


def kind_of(column: Mapping[str, str]) -> str:
    """What Grafana makes of a column."""
    inner = column["type"]
    for wrapper in ("LowCardinality(", "Nullable("):
        inner = inner.removeprefix(wrapper)
    if inner.startswith("Date"):
        return "time"
    return "number" if inner.startswith(("Int", "UInt", "Float")) else "text"


def check_time_series(panel: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    time, *others = answer["meta"]
    assert (time["name"], kind_of(time)) == ("time", "time")
    labels = [column["name"] for column in others if kind_of(column) == "text"]
    assert len(labels) <= 1
    assert len(labels) < len(others)
    assert panel["fieldConfig"]["defaults"].get("displayName", "") == "".join(f"${{__field.labels.{name}}}" for name in labels)
    assert [row["time"] for row in answer["data"]] == sorted(row["time"] for row in answer["data"])


def check_heat_map(panel: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    time, *bounds = answer["meta"]
    assert (time["name"], kind_of(time)) == ("time", "time")
    assert {kind_of(column) for column in bounds} == {"number"}
    numbers = [int(column["name"]) for column in bounds]
    assert numbers == sorted(numbers)


def check_number(panel: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    (column,) = answer["meta"]
    assert kind_of(column) == "number"
    assert len(answer["data"]) == 1


def check_table(panel: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    columns = {column["name"] for column in answer["meta"]}
    assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} <= columns


def check_node_graph(panel: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    columns = {column["name"]: kind_of(column) for column in answer["meta"]}
    ends = {"source", "target"} & set(columns)
    assert {"id": "text", "mainstat": "number", **dict.fromkeys(ends, "text")}.items() <= columns.items()
    assert ends or {"title", "arc__well", "arc__failed"} <= set(columns)
    ids = [row["id"] for row in answer["data"]]
    assert len(ids) == len(set(ids))


def check_trace(panel: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    # Source: https://grafana.com/docs/grafana/latest/explore/trace-integration/#data-frame-structure
    columns = {column["name"]: column["type"] for column in answer["meta"]}
    assert {"traceID", "spanID", "parentSpanID", "operationName", "serviceName"} <= set(columns)
    assert columns["startTime"] == columns["duration"] == "Float64"
    assert columns["tags"] == "Array(Map(String, String))"
    assert columns["logs"].startswith("Array(Tuple(")
    assert {row["traceID"] for row in answer["data"]} == {answer["data"][0]["traceID"]}


CHECKS = {
    "timeseries": check_time_series,
    "heatmap": check_heat_map,
    "stat": check_number,
    "table": check_table,
    "nodeGraph": check_node_graph,
    "traces": check_trace,
}


@pytest.mark.parametrize("one_operation", [False, True], ids=["all operations", "one operation"])
@pytest.mark.parametrize("name", SQL)
def test_every_panel_gets_rows_of_its_shape(grafana: Store, service: str, name: str, one_operation: bool) -> None:
    view = looking_at(grafana, service, one_operation=one_operation)
    for panel, answer in answers_of(grafana, SQL[name], view):
        about_errors = any(word in panel["title"].lower() for word in ("failing", "failed traces", "wrong"))
        assert answer["data"] or (one_operation and about_errors), panel["title"]
        if answer["data"]:
            CHECKS[panel["type"]](panel, answer)


@pytest.mark.parametrize("name", SQL)
def test_every_answer_is_the_same_in_the_format_that_the_plugin_reads(grafana: Store, service: str, name: str) -> None:
    view = looking_at(grafana, service)
    credentials = {
        "username": grafana.reader.credentials["X-ClickHouse-User"],
        "password": grafana.reader.credentials["X-ClickHouse-Key"],
    }
    with clickhouse_connect.get_client(
        host="127.0.0.1", port=grafana.reader.http_port, database="otel", autogenerate_session_id=False, **credentials
    ) as client:
        for panel in panels_of(SQL[name]):
            for target in panel["targets"]:
                statement = view.expand(target["rawSql"])
                expected, found = grafana.ask(statement), client.query(statement)
                assert found.row_count == expected["rows"], panel["title"]
                assert list(found.column_names) == [column["name"] for column in expected["meta"]]


@pytest.mark.parametrize("name", SQL)
def test_variables_offer_what_is_there(grafana: Store, service: str, name: str) -> None:
    view = looking_at(grafana, service)
    offered = {
        variable["name"]: values_of(grafana, variable, view)
        for variable in variables_of(SQL[name]).values()
        if variable["type"] == "query"
    }
    assert offered.pop("workspace") == (WORKSPACE,)
    assert not offered or service in offered["service"]
    assert all(len(values) == len(set(values)) > 0 for values in offered.values())


@pytest.mark.parametrize("name", SQL)
def test_nothing_is_told_of_another_workspace(grafana: Store, service: str, name: str) -> None:
    assert grafana.owner.execute(f"SELECT count() > 0 FROM otel.otel_traces WHERE Workspace = '{OTHER}'") == b"1\n"
    for panel, answer in answers_of(grafana, SQL[name], looking_at(grafana, service, workspace=OTHER)):
        # Counts of nothing are 0.
        assert not answer["data"] or (panel["type"] == "stat" and not any(answer["data"][0].values())), panel["title"]


def test_names_with_quotes_are_names(grafana: Store, service: str) -> None:
    view = looking_at(grafana, service)
    for value in ("it's", "' OR 1=1 OR '", 'a"b`c$d'):
        odd = replace(view, variables={**view.variables, "service": Choice(value), "operation": Choice((value,))})
        for dashboard in SQL.values():
            for panel, answer in answers_of(grafana, dashboard, odd):
                if "${service" in json.dumps(panel["targets"]):
                    assert not answer["data"], (panel["title"], value)


def test_the_table_of_services_says_what_the_spans_say(grafana: Store, service: str) -> None:
    view = looking_at(grafana, service)
    shown = {row["Service"]: row for row in panel_rows(grafana, "overview.json", "Services", view, kind="table")}
    stored = grafana.ask(
        "SELECT ServiceName, count() AS Spans, countIf(StatusCode = 'Error') AS Errors, groupArray(Duration) AS Durations"
        " FROM otel_traces GROUP BY ServiceName"
    )["data"]
    assert set(shown) == {row["ServiceName"] for row in stored}
    for row in stored:
        found, spans = shown[row["ServiceName"]], int(row["Spans"])
        assert found["Rate"] * (view.end - view.start) == pytest.approx(spans)
        assert found["Failed"] == pytest.approx(int(row["Errors"]) / spans)
        exact = np.quantile(np.array(row["Durations"], np.uint64), 0.95, method="inverted_cdf")
        assert found["P95"] == pytest.approx(exact, rel=2 * RELATIVE_ERROR)


def test_the_heat_map_counts_every_span_once_and_in_its_range(grafana: Store, service: str) -> None:
    shown = Counter[int]()
    for row in panel_rows(grafana, "service.json", "Durations", looking_at(grafana, service), kind="heatmap"):
        shown.update({int(bound): round(count) for bound, count in row.items() if bound != "time"})
    stored = grafana.ask(f"SELECT Duration FROM otel_traces WHERE ServiceName = '{service}'")["data"]
    least, most = min(shown), max(shown)
    exact = Counter(min(max(2 ** math.ceil(math.log2(max(int(row["Duration"]), 1))), least), most) for row in stored)
    assert +shown == exact


def test_the_node_graph_has_the_calls_that_are_in_the_spans(grafana: Store, service: str) -> None:
    view = looking_at(grafana, service)
    every_service = replace(view, variables={**view.variables, "service": Choice((), is_all=True)})
    nodes = {row["id"] for row in panel_rows(grafana, "topology.json", "Calls between services", every_service, kind="nodeGraph")}
    edges = panel_rows(grafana, "topology.json", "Calls between services", every_service, kind="nodeGraph", query=1)
    assert {row["source"] for row in edges} | {row["target"] for row in edges} == nodes
    shown = Counter[tuple[str, str]]()
    for row in edges:
        shown[row["source"], row["target"]] += round(row["mainstat"] * (view.end - view.start))
    expected = Counter[tuple[str, str]]()
    for (client, server, _, node), calls in calls_of(plain_spans_of(WORKSPACE)).items():
        kinds = ("user", "service") if node == "user" else ("service", node or "service")
        expected[f"{kinds[0]}:{client}", f"{kinds[1]}:{server}"] += calls
    assert shown == expected
