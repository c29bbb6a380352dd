"""How long spans took, by service or by operation, from the tables of `red_metrics`: means, percentiles and distributions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.query.native_values import strings_of
from collector.query.red_spans import RedSpans
from collector.query.requests import SOURCE_COLUMNS, RequestGroups, Requests, added_up
from collector.query.rollups import RED, parts, rows_of
from collector.query.store import SpanStore, Statement
from collector.sketch import last_bucket_within
from exporters.clickhouse.wire import Answer, parse_blocks


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
        spans: which, and what tells them apart.
        start, end: nanoseconds, whole minutes.
        threshold: of Apdex, nanoseconds.
        limit: the most names.
    """

    spans: RedSpans
    start: int
    end: int
    threshold: int
    limit: int = 100


def span_latencies_statement(store: SpanStore, query: LatencyQuery) -> Statement:
    """A row for each name, in their order."""
    condition, parameters = query.spans.condition
    source = rows_of(store, parts(RED, query.start, query.end), (f"{query.spans.name} AS Name", *SOURCE_COLUMNS), condition)
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
