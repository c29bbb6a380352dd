"""What the dashboards of services share: rate, errors and durations."""

from __future__ import annotations

from typing import Final

from collector.grafana.model import Json, chosen_among, chosen_by_sql
from collector.grafana.panels import graph, series_query

WORKSPACE: Final = chosen_by_sql(
    "workspace", "Workspace", "SELECT DISTINCT Workspace FROM otel_red_minute WHERE $__timeFilter(Minute) ORDER BY Workspace"
)
KIND: Final = chosen_among(
    "kind",
    "Kind",
    ("Server", "Consumer", "Client", "Producer", "Internal", "Unspecified"),
    # What a service was asked to do.
    chosen=("Server", "Consumer"),
)

PERCENTILES: Final = {"P50": "ns", "P95": "ns", "P99": "ns"}
"""Columns of tables, and their units."""


def red_graphs(column: str, label: str, condition: str) -> tuple[Json, ...]:
    """Rate, errors and durations over time, a line for each of the ten with the most spans.

    Args:
        column: what is told apart, of otel_red_minute.
        label: what a line is.
        condition: the abbreviation of one, see `queries`.
    """
    most = f"SELECT {column} FROM otel_red_minute WHERE <{condition}> GROUP BY {column} ORDER BY sum(Spans) DESC LIMIT 10"  # noqa: S608 - constants
    return tuple(
        graph(
            f"{title} by {label}",
            series_query(f"""
                WITH <sketch>
                SELECT $__timeInterval(Minute) AS time, {column} AS {label}, {expression} AS value
                FROM otel_red_minute WHERE <{condition}> AND {column} IN ({most})
                GROUP BY time, {label} ORDER BY time"""),  # noqa: S608 - constants
            unit=unit,
            name=f"${{__field.labels.{label}}}",
            interval="1m",
            description="The ten with the most spans.",
        )
        for title, expression, unit in (
            ("Requests per second", "sum(Spans) / $__interval_s", "reqps"),
            ("Failed", "<failed>", "percentunit"),
            ("95th percentile", "<p95>", "ns"),
        )
    )
