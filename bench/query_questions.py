"""What is asked of the stored spans, in three ways: of our API, in SQL of our tables, and of the standard table by readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlencode

from bench.query_sql import (
    DAY,
    HOUR,
    HOUR_NS,
    SPANS,
    Sample,
    attribute_pairs,
    edges,
    found,
    has_attribute,
    ids,
    latencies,
    node_graph,
    of_service,
    one_trace,
    services,
    starts_within,
    tags,
    within,
)
from bench.query_standard import STANDARD_SPANS, standard_edges, standard_latencies, standard_list, standard_trace
from bench.query_store import END_NS, LARGE_AT_NS, START_NS
from collector.query.skeleton_rows import SELECTED_SKELETON
from collector.query.span_rows import SELECTED

_ONCE: Final = "SELECT 1 AS once"


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked, of samples that differ.

    Attributes:
        name: for the report.
        samples: makes those to ask about; a query, of which each row is one.
        path: of our API; None for a question that only SQL asks.
        ours: SQL of our tables with the same answer.
        standard: what readers of the standard table ask; None where they have no such question.
        p95_ms: which the API must stay below, warm; None where there is no such bound.
        answers: the statuses of the API's answers.
    """

    name: str
    samples: str
    path: Callable[[Sample], str] | None
    ours: Callable[[Sample], str]
    standard: Callable[[Sample], str] | None = None
    p95_ms: float | None = None
    answers: int = 200


def _path(path: str, **parameters: object) -> str:
    return f"/api/v1{path}?{urlencode(parameters)}" if parameters else f"/api/v1{path}"


def _by_id(name: str, start: int, *, ranged: bool = False) -> Question:
    def path(sample: Sample) -> str:
        if not ranged:
            return _path(f"/traces/{sample['id']}")
        return _path(f"/traces/{sample['id']}", start=sample["start"] - HOUR_NS, end=sample["start"] + HOUR_NS)

    return Question(name, ids(start, start + HOUR_NS), path, one_trace(SELECTED), standard_trace, 50)


_UNKNOWN: Final = "SELECT lower(hex(cityHash64(number)) || hex(cityHash64(number, 1))) AS id FROM numbers(25)"
_LARGE: Final = (
    f"SELECT TraceId AS id FROM {SPANS} WHERE {starts_within('Timestamp', LARGE_AT_NS, LARGE_AT_NS + HOUR_NS)}"
    " GROUP BY TraceId ORDER BY count() DESC LIMIT 1"
)


def _attribute(name: str, which: Literal["rare", "common"], limit_ms: float | None) -> Question:
    def query(sample: Sample) -> str:
        key, value = (sample[part].replace("\\", "\\\\").replace('"', '\\"') for part in ("key", "value"))
        return f'span.attributes["{key}"] = "{value}"'

    return Question(
        name,
        attribute_pairs(which),
        lambda sample: _path("/traces", start=DAY[0], end=DAY[1], q=query(sample)),
        lambda sample: found(has_attribute(sample), *DAY),
        lambda sample: standard_list(has_attribute(sample), *DAY, roots=False),
        limit_ms,
    )


def _topology(name: str, start: int, end: int) -> tuple[Question, Question]:
    """The topology with percentiles, of the API; and what Grafana's node graph shows, which has none."""
    return (
        Question(f"topology, {name}", _ONCE, lambda _: _path("/topology", start=start, end=end), lambda _: edges(start, end)),
        Question(f"node graph, {name}", _ONCE, None, lambda _: node_graph(start, end), lambda _: standard_edges(start, end)),
    )


QUESTIONS: Final[Sequence[Question]] = (
    _by_id("trace by id, old", START_NS),
    _by_id("trace by id, new", END_NS - HOUR_NS),
    _by_id("trace by id, new, within 2 h", END_NS - 2 * HOUR_NS, ranged=True),
    Question(
        "trace by id, unknown",
        _UNKNOWN,
        lambda sample: _path(f"/traces/{sample['id']}"),
        one_trace(SELECTED),
        standard_trace,
        50,
        404,
    ),
    Question(
        "search: service, 1 h",
        services(20),
        lambda sample: _path("/traces", start=HOUR[0], end=HOUR[1], service=sample["service"]),
        lambda sample: found(of_service(sample), *HOUR),
        lambda sample: standard_list(of_service(sample), *HOUR),
        150,
    ),
    _attribute("search: rare attribute, 1 day", "rare", 500),
    _attribute("search: common attribute, 1 day", "common", None),
    Question(
        "search: over 2 s, 1 day",
        _ONCE,
        lambda _: _path("/traces", start=DAY[0], end=DAY[1], minDuration="2s"),
        lambda _: found("Duration >= 2000000000", *DAY),
        lambda _: standard_list("Duration >= 2000000000", *DAY),
    ),
    Question(
        "search: errors, 1 h",
        _ONCE,
        lambda _: _path("/traces", start=HOUR[0], end=HOUR[1], status="error"),
        lambda _: found("StatusCode = 'Error'", *HOUR),
        lambda _: standard_list("StatusCode = 'Error'", *HOUR, roots=False),
    ),
    Question(
        "search: everything, 1 h",
        _ONCE,
        lambda _: _path("/traces", start=HOUR[0], end=HOUR[1]),
        lambda _: found("true", *HOUR),
        lambda _: standard_list("true", *HOUR),
    ),
    Question(
        "latencies of all services, 1 h",
        _ONCE,
        lambda _: _path("/latencies", start=HOUR[0], end=HOUR[1]),
        lambda _: latencies("", *HOUR),
        lambda _: standard_latencies("", *HOUR),
    ),
    Question(
        "latencies of a service, 1 day",
        services(20),
        lambda sample: _path("/latencies", start=DAY[0], end=DAY[1], service=sample["service"]),
        lambda sample: latencies(f"AND {of_service(sample)}", *DAY),
        lambda sample: standard_latencies(f"AND {of_service(sample)}", *DAY),
    ),
    Question(
        "services, 1 day",
        _ONCE,
        lambda _: _path("/services", start=DAY[0], end=DAY[1]),
        lambda _: (
            f"SELECT ServiceName, count(), max(Timestamp) FROM {SPANS} WHERE {within(*DAY)}"
            " GROUP BY ServiceName ORDER BY ServiceName LIMIT 101"
        ),
        lambda _: (
            f"SELECT ServiceName, count() FROM {STANDARD_SPANS} WHERE {starts_within('Timestamp', *DAY)} GROUP BY ServiceName"
        ),
    ),
    Question(
        "operations of a service, 1 day",
        services(20),
        lambda sample: _path(f"/services/{quote(sample['service'], safe='')}/operations", start=DAY[0], end=DAY[1]),
        lambda sample: (
            f"SELECT SpanName, SpanKind FROM {SPANS} WHERE {within(*DAY)} AND {of_service(sample)}"
            " GROUP BY SpanName, SpanKind ORDER BY SpanName, SpanKind LIMIT 10001"
        ),
        lambda sample: (
            f"SELECT DISTINCT SpanName FROM {STANDARD_SPANS} WHERE {starts_within('Timestamp', *DAY)} AND {of_service(sample)}"
        ),
    ),
    Question(
        "keys of attributes, 6 h",
        _ONCE,
        lambda _: _path("/tags", start=HOUR[1] - 6 * HOUR_NS, end=HOUR[1]),
        lambda _: tags(HOUR[1] - 6 * HOUR_NS, HOUR[1]),
        lambda _: (
            f"SELECT DISTINCT arrayJoin(mapKeys(SpanAttributes)) AS key FROM {STANDARD_SPANS}"
            f" WHERE {starts_within('Timestamp', HOUR[1] - 6 * HOUR_NS, HOUR[1])} LIMIT 1000"
        ),
    ),
    *_topology("1 h", *HOUR),
    *_topology("1 day", *DAY),
    Question(
        "waterfall, 100,000 spans",
        _LARGE,
        lambda sample: _path(f"/traces/{sample['id']}/waterfall", limit=1000),
        one_trace(SELECTED_SKELETON),
    ),
    Question(
        "critical path, 100,000 spans",
        _LARGE,
        lambda sample: _path(f"/traces/{sample['id']}/critical-path"),
        one_trace(SELECTED_SKELETON),
    ),
)
