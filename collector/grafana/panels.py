"""Panels of dashboards, and the queries in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from collector.grafana.model import CLICKHOUSE, PROMETHEUS, Json
from collector.grafana.queries import sql

COLUMNS: Final = 24
"""The width of a dashboard."""

_TIME_SERIES, _TABLE, _TRACE = 0, 1, 3
"""Formats of the ClickHouse plugin."""


def arranged(*rows: Sequence[Json]) -> list[Json]:
    """Panels row by row, with their places and numbers."""
    panels: list[Json] = []
    y = 0
    for row in rows:
        x = 0
        for panel in row:
            size = panel["gridPos"]
            panels.append({**panel, "id": len(panels) + 1, "gridPos": {**size, "x": x, "y": y}})
            x += size["w"]
        y += max(panel["gridPos"]["h"] for panel in row)
    return panels


def heading(title: str) -> Json:
    """A line above the panels that belong together."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": COLUMNS, "h": 1}}


# Queries, in SQL with the abbreviations of `queries`, or in PromQL.


def series_query(text: str) -> Json:
    """A query whose answer is a number for each `time`, and for each value of a column of texts if there is one."""
    return {"datasource": CLICKHOUSE, "editorType": "sql", "format": _TIME_SERIES, "queryType": "timeseries", "rawSql": sql(text)}


def table_query(text: str) -> Json:
    """A query whose answer is shown as it is."""
    return {"datasource": CLICKHOUSE, "editorType": "sql", "format": _TABLE, "queryType": "table", "rawSql": sql(text)}


def trace_query(text: str) -> Json:
    """A query for the spans of a trace, under the names that Grafana's trace view reads."""
    return {"datasource": CLICKHOUSE, "editorType": "sql", "format": _TRACE, "queryType": "traces", "rawSql": sql(text)}


def prometheus_query(expression: str, legend: str) -> Json:
    """A query in PromQL; `legend` names its series, with labels as `{{label}}`."""
    return {"datasource": PROMETHEUS, "editorMode": "code", "expr": expression, "legendFormat": legend, "range": True}


# Panels.


def graph(
    title: str,
    *queries: Json,
    unit: str,
    description: str = "",
    name: str = "",
    width: int = 8,
    interval: str = "",
    is_stacked: bool = False,
) -> Json:
    """Lines over time.

    Args:
        unit: as Grafana calls it.
        name: of each line, with variables such as `${__field.labels.service}`; else that of the query.
        interval: the shortest time between two points.
    """
    custom: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": False}
    if is_stacked:
        custom |= {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 40}
    defaults = {"unit": unit, "min": 0, "custom": custom, **({"displayName": name} if name else {})}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    panel = _panel("timeseries", title, queries, description, options, {"defaults": defaults, "overrides": []}, width, 8)
    return panel | ({"interval": interval} if interval else {})


def number(title: str, query: Json, *, unit: str, description: str = "", width: int = 6, limits: Sequence[float] = ()) -> Json:
    """One number, in large type. It turns yellow and red at the two `limits`."""
    colours: list[Json] = [{"color": "text", "value": None}]
    colours += [{"color": colour, "value": limit} for colour, limit in zip(("yellow", "red"), limits, strict=False)]
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": colours}, "color": {"mode": "thresholds"}}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
    }
    return _panel("stat", title, [query], description, options, {"defaults": defaults, "overrides": []}, width, 4)


def table(
    title: str,
    query: Json,
    *,
    units: Mapping[str, str],
    links: Mapping[str, Sequence[Json]] | None = None,
    hidden: Sequence[str] = (),
    description: str = "",
    width: int = COLUMNS,
    height: int = 9,
) -> Json:
    """Rows and columns.

    Args:
        units, links: by the names of columns.
        hidden: columns that only links use.
    """
    overrides = [_override(column, unit=unit) for column, unit in units.items()]
    overrides += [_override(column, links=list(some)) for column, some in (links or {}).items()]
    overrides += [_override(column, **{"custom.hidden": True}) for column in hidden]
    defaults = {"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True, "inspect": False}}
    options = {"showHeader": True, "cellHeight": "sm"}
    return _panel("table", title, [query], description, options, {"defaults": defaults, "overrides": overrides}, width, height)


def heat_map(title: str, query: Json, *, description: str, interval: str, width: int) -> Json:
    """How many fall into each of the ranges that the columns behind `time` stand for, over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {"mode": "scheme", "scheme": "Oranges", "exponent": 0.5, "fill": "dark-orange", "reverse": False, "steps": 64},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "le"},
        "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "ns"},
    }
    defaults = {"custom": {"scaleDistribution": {"type": "linear"}}}
    panel = _panel("heatmap", title, [query], description, options, {"defaults": defaults, "overrides": []}, width, 9)
    return panel | {"interval": interval}


def node_graph(title: str, nodes: Json, edges: Json, *, links: Sequence[Json], description: str, height: int) -> Json:
    """Nodes and what joins them. `links` are on nodes; columns that begin with `arc__` are shares of a circle."""
    overrides = [
        _override("arc__well", color={"mode": "fixed", "fixedColor": "green"}, displayName="without errors"),
        _override("arc__failed", color={"mode": "fixed", "fixedColor": "red"}, displayName="failed"),
        _override("id", links=list(links)),
    ]
    options = {
        "nodes": {"mainStatUnit": "reqps", "secondaryStatUnit": "ns"},
        "edges": {"mainStatUnit": "reqps", "secondaryStatUnit": "ns"},
    }
    queries = [{**nodes, "refId": "nodes"}, {**edges, "refId": "edges"}]
    config = {"defaults": {}, "overrides": overrides}
    return _panel("nodeGraph", title, queries, description, options, config, COLUMNS, height)


def trace_view(title: str, query: Json, *, description: str) -> Json:
    """The spans of one trace as a waterfall."""
    return _panel("traces", title, [query], description, {}, {"defaults": {}, "overrides": []}, COLUMNS, 16)


def _override(column: str, **properties: object) -> Json:
    found = [{"id": name, "value": value} for name, value in properties.items()]
    return {"matcher": {"id": "byName", "options": column}, "properties": found}


def _panel(
    kind: str,
    title: str,
    queries: Iterable[Json],
    description: str,
    options: Json,
    config: Json,
    width: int,
    height: int,
) -> Json:
    targets = [{"refId": chr(ord("A") + number), **query} for number, query in enumerate(queries)]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": targets[0]["datasource"],
        "targets": targets,
        "fieldConfig": config,
        "options": options,
        "gridPos": {"w": width, "h": height},
    }
