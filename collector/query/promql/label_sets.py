"""Which series there are in a time range."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import orjson

from collector.query.call_rows import OF_WORKSPACE, call_rows
from collector.query.promql.expressions import NAME, Matcher
from collector.query.promql.families import LE, Metric
from collector.query.promql.loading import fetch_rows, le_texts, matching_condition, metrics_of
from collector.query.promql.matchers import fits
from collector.query.promql.vectors import Labels, labels_of
from collector.query.rollups import RED, parts, rows_of, whole_minutes
from collector.query.store import SpanStore, Statement
from config.red_metrics import label_of

MOST_ROWS: Final = 100_000


def label_sets_statement(
    store: SpanStore,
    metric: Metric,
    matchers: Sequence[Matcher],
    start: int,
    end: int,
    workspace: str,
    is_settled: bool,
) -> Statement:
    """A row for each set of labels in [start, end), whole minutes, in no order; `is_settled` is that of `call_rows`."""
    condition, parameters = matching_condition(metric, matchers)
    names = [f"Label{number}" for number in range(len(metric.labels))]
    columns = [f"toString({expression}) AS {name}" for expression, name in zip(metric.labels.values(), names, strict=True)]
    columns.append(f"{'toString(rollup.Dimensions)' if metric.has_dimensions else repr('')} AS Dimensions")
    found = parts(metric.rollups, start, end)
    source = (
        rows_of(store, found, columns, f"{OF_WORKSPACE} AND {condition}")
        if metric.rollups is RED
        else call_rows(store, found, columns, condition, is_settled=is_settled)
    )
    return Statement(
        f"SELECT DISTINCT {', '.join(names)}, Dimensions FROM ({source}) LIMIT {{most:UInt64}}",  # noqa: S608 - all of it is the program's own, values are bound
        {"workspace": workspace, "most": MOST_ROWS, **parameters},
    )


async def find_label_sets(
    store: SpanStore, selectors: Sequence[Sequence[Matcher]], *, start: int, end: int, workspace: str
) -> list[Labels]:
    """The series that fit all matchers of one of the selectors and have spans or calls in [start, end), nanoseconds; in order.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    start, end = whole_minutes(start, end)
    found: set[Labels] = set()
    for matchers in selectors:
        # Metrics that are made of the same rows have the same labels.
        alike: dict[tuple[object, ...], list[Metric]] = {}
        for metric in metrics_of(matchers):
            alike.setdefault((metric.has_dimensions, *metric.labels), []).append(metric)
        for metrics in alike.values():
            statement = partial(label_sets_statement, store, metrics[0], matchers, start, end, workspace)
            for row in (await fetch_rows(store, metrics[0], statement, start, end, workspace)).rows():
                texts = {label: row[f"Label{number}"] for number, label in enumerate(metrics[0].labels)}
                dimensions = orjson.loads(row["Dimensions"]) if row["Dimensions"] else {}
                texts |= {label_of(key): value for key, value in dimensions.items()}
                found.update(each for metric in metrics for each in _series(metric, texts, matchers))
    return sorted(found)


def _series(metric: Metric, texts: dict[str, str], matchers: Sequence[Matcher]) -> list[Labels]:
    candidates = [{**texts, NAME: metric.name, **({LE: le} if le else {})} for le in (le_texts(metric) or [""])]
    return [labels_of(each) for each in candidates if all(fits(matcher, each.get(matcher.label, "")) for matcher in matchers)]
