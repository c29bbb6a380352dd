"""How long spans took, by service or by operation, from the tables of `red_metrics`: means, percentiles and distributions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from collector.query.native_values import strings_of
from collector.query.requests import SOURCE_COLUMNS, RequestGroups, Requests, added_up
from collector.query.rollups import RED, parts, rows_of, spans_condition
from collector.query.store import SpanStore, Statement
from collector.sketch import last_bucket_within
from exporters.clickhouse.wire import Answer, parse_blocks

By = Literal["service", "operation"]
_COLUMNS: Final[dict[By, str]] = {"service": "ServiceName", "operation": "SpanName"}


@dataclass(frozen=True, slots=True)
class SpanLatencies:
    """The spans of a service, or of an operation.

    Attributes:
        name: of the service or operation.
        buckets: of `collector.sketch`, in any order and perhaps twice, int64, shape (places,).
        weights: spans in each, to be added up, float64, shape (places,).
    """

    name: str
    spans: Requests
    buckets: NDArray[np.int64]
    weights: NDArray[np.float64]

    def histogram(self, bounds: Sequence[int]) -> list[float]:
        """Spans up to each of these bounds, rising, in nanoseconds, and above the one before; behind them those above all.

        Which side of a bound spans are on that are nearer to it than `collector.sketch.RELATIVE_ERROR` is not known.
        """
        limits = np.array([last_bucket_within(bound) for bound in bounds], np.int64)
        places = np.searchsorted(limits, self.buckets)
        found: list[float] = np.bincount(places, self.weights, len(bounds) + 1).tolist()
        return found


@dataclass(frozen=True, slots=True)
class LatencyQuery:
    """What is asked.

    Attributes:
        workspace: whose spans.
        start, end: nanoseconds, whole minutes.
        threshold: of Apdex, nanoseconds.
        by: what is told apart.
        service, operation: filters, None for any.
        kinds: of spans, of KINDS; empty for any.
        after: only names that are greater, to go on after a page.
        limit: the most names.
        injected: only spans that failed on purpose, or only others; None for all.
    """

    workspace: str
    start: int
    end: int
    threshold: int
    by: By = "service"
    service: str | None = None
    operation: str | None = None
    kinds: tuple[str, ...] = ()
    after: str | None = None
    limit: int = 100
    injected: bool | None = None


def span_latencies_statement(store: SpanStore, query: LatencyQuery) -> Statement:
    """A row for each name, in their order."""
    name = _COLUMNS[query.by]
    condition, parameters = spans_condition(
        query.workspace,
        service=query.service,
        operation=query.operation,
        kinds=query.kinds,
        name=name,
        after=query.after,
        injected=query.injected,
    )
    source = rows_of(store, parts(RED, query.start, query.end), (f"{name} AS Name", *SOURCE_COLUMNS), condition)
    return Statement(
        f"{added_up(source, ['Name'])} ORDER BY Name LIMIT {{limit:UInt64}}",
        {**parameters, "limit": query.limit},
    )


async def find_span_latencies(store: SpanStore, query: LatencyQuery) -> list[SpanLatencies]:
    """Latencies of each service or operation with spans, in order of names.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    answer = await store.fetch_native(span_latencies_statement(store, query))
    return await asyncio.to_thread(_latencies, answer, query.threshold)


def _latencies(answer: Answer, threshold: int) -> list[SpanLatencies]:
    columns = parse_blocks(answer)
    names = strings_of(columns["Name"]) if columns else []
    groups = RequestGroups.of(columns)
    return [
        SpanLatencies(name, spans, *sketch)
        for name, spans, sketch in zip(names, groups.requests(threshold), groups.sketches.each(), strict=True)
    ]
