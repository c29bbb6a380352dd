"""Grafana's dashboards as JSON: the dashboard itself, its variables and links.

Source: Grafana's dashboard JSON model, schema version 39, which Grafana 11 and later read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

Json = dict[str, Any]

CLICKHOUSE: Final[Json] = {"type": "grafana-clickhouse-datasource", "uid": "${datasource}"}
PROMETHEUS: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
"""Data sources that a dashboard's first variable names."""

_TAG: Final = "spanhouse"
_WHENEVER_THE_RANGE_CHANGES: Final = 2


def dashboard(name: str, title: str, description: str, *, variables: Sequence[Json], panels: Sequence[Json]) -> Json:
    """A dashboard that links to the others, with the time range and the variables that they share.

    Args:
        name: the part of its uid and address behind `spanhouse-`.
        panels: with their places, as `panels.arranged` gives them.
    """
    others = {
        "type": "dashboards",
        "title": "Spanhouse",
        "icon": "external link",
        "tags": [_TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }
    return {
        "uid": f"{_TAG}-{name}",
        "title": title,
        "description": description,
        "tags": [_TAG],
        "schemaVersion": 39,
        "editable": True,
        # A crosshair at the same time in all panels.
        "graphTooltip": 1,
        "timezone": "",
        "refresh": "1m",
        "time": {"from": "now-1h", "to": "now"},
        "links": [others],
        "templating": {"list": list(variables)},
        "panels": list(panels),
    }


def rendered(document: Json) -> str:
    """A dashboard as its file holds it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def data_source(plugin: str, *, name: str = "datasource", label: str = "Data source") -> Json:
    """A variable: which data source of a plugin is asked."""
    return {"type": "datasource", "name": name, "label": label, "query": plugin, "refresh": 1, "hide": 0, "multi": False}


def chosen_by_sql(name: str, label: str, sql: str, *, several: bool = False) -> Json:
    """A variable whose values a statement finds; one of them, or some or all."""
    return _chosen(name, label, CLICKHOUSE, {"editorType": "sql", "rawSql": sql}, several=several)


def chosen_by_labels(name: str, label: str, expression: str) -> Json:
    """A variable whose values are those of a label in Prometheus; some of them, or all."""
    return _chosen(name, label, PROMETHEUS, {"qryType": 5, "query": expression, "refId": name}, several=True)


def _chosen(name: str, label: str, source: Json, query: Json, *, several: bool) -> Json:
    variable = {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": source,
        "query": query,
        "refresh": _WHENEVER_THE_RANGE_CHANGES,
        "sort": 1,
        "hide": 0,
        "multi": several,
        "includeAll": several,
    }
    return variable | ({"current": {"text": ["All"], "value": ["$__all"]}} if several else {})


def chosen_among(name: str, label: str, values: Sequence[str], *, chosen: Sequence[str]) -> Json:
    """A variable with fixed values, some of which are chosen at first."""
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "options": [{"text": value, "value": value, "selected": value in chosen} for value in values],
        "current": {"text": list(chosen), "value": list(chosen)},
        "hide": 0,
        "multi": True,
        "includeAll": False,
    }


def written(name: str, label: str) -> Json:
    """A variable whose value is typed in; empty at first."""
    empty = {"text": "", "value": ""}
    return {"type": "textbox", "name": name, "label": label, "query": "", "current": empty, "hide": 0}


def link(title: str, url: str) -> Json:
    """A link on a value. `url` may hold variables."""
    return {"title": title, "url": url, "targetBlank": False}


def dashboard_link(title: str, name: str, **variables: str) -> Json:
    """A link to another dashboard, with the time range, the workspace and further variables."""
    further = "".join(f"&var-{variable}={value}" for variable, value in variables.items())
    return link(title, f"/d/{_TAG}-{name}?${{__url_time_range}}&${{datasource:queryparam}}&${{workspace:queryparam}}{further}")


def explore_link(title: str, source: str, query: Json) -> Json:
    """A link to Explore.

    Args:
        source: the variable that names the data source.
        query: for it; texts in it may hold variables.
    """
    panes = {
        "spans": {
            "datasource": f"${{{source}}}",
            "queries": [{"refId": "A", **query}],
            "range": {"from": "${__from}", "to": "${__to}"},
        }
    }
    escaped = quote(json.dumps(panes, separators=(",", ":")), safe="${}:,")
    # Braces of objects are escaped as well, those of variables are not.
    return link(title, f"/explore?schemaVersion=1&orgId=${{__org.id}}&panes={_without_braces_of_objects(escaped)}")


def _without_braces_of_objects(text: str) -> str:
    pieces = text.split("${")
    escaped = [pieces[0].replace("{", "%7B").replace("}", "%7D")]
    for piece in pieces[1:]:
        variable, _, rest = piece.partition("}")
        escaped.append(f"${{{variable}}}" + rest.replace("{", "%7B").replace("}", "%7D"))
    return "".join(escaped)
