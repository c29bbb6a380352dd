"""What a search finds, in plain Python over rows: the oracle of the query API. It shares no code with the program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.rows import Row

Fits = Callable[[Row], bool]

LEVELS = {
    "span": ("SpanAttributes", False),
    "resource": ("ResourceAttributes", False),
    "scope": ("ScopeAttributes", False),
    "event": ("Events.Attributes", True),
    "link": ("Links.Attributes", True),
}
_IDENTITY = (
    "SpanId",
    "SpanKind",
    "ServiceName",
    "Timestamp",
    "Duration",
    "SpanName",
    "ResourceAttributes",
    "SpanAttributes",
)
"""What two rows have in common that are one span."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)


def attributes(row: Row, level: str) -> list[dict[str, str]]:
    """The attributes of a level, of each event or link one; of equal keys the first counts.

    At the level `span or resource` those of the resource are there that the span has not.
    """
    if level == "span or resource":
        return [attributes(row, "resource")[0] | attributes(row, "span")[0]]
    column, many = LEVELS[level]
    return [dict(reversed(pairs)) for pairs in (row[column] if many else [row[column]])]


def has_value(levels: Iterable[str], key: str, fits: Callable[[str], bool]) -> Fits:
    """Whether one of these levels has the attribute with a fitting value."""
    chosen = list(levels)
    return lambda row: any(key in found and fits(found[key]) for level in chosen for found in attributes(row, level))


def as_number(text: str) -> float | None:
    """The number that a text is, None where it is none."""
    return float(text) if _NUMBER.fullmatch(text) else None


def start_of(row: Row) -> int:
    start: int = row["StartTimeUnixNano"] or row["Timestamp"]
    return start


def end_of(row: Row) -> int:
    end: int = row["EndTimeUnixNano"] or start_of(row) + row["Duration"]
    return max(end, start_of(row))


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace as a whole; spans that came twice are one."""

    trace_id: str
    rows: Sequence[Row]

    @property
    def measures(self) -> dict[str, Any]:
        roots = [
            (start_of(row), row["SpanId"], row["SpanName"], row["ServiceName"]) for row in self.rows if not row["ParentSpanId"]
        ]
        root = min(roots, default=(0, "", None, None))
        return {
            "duration": max(map(end_of, self.rows)) - min(map(start_of, self.rows)),
            "spans": len(self.rows),
            "errors": sum(row["StatusCode"] == "Error" for row in self.rows),
            "root service": root[3],
            "root name": root[2],
        }


def traces_of(rows: Iterable[Row]) -> list[Trace]:
    """All traces, without spans that have no trace id."""
    spans: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["TraceId"]:
            spans.setdefault(row["TraceId"], {})[repr([row[name] for name in _IDENTITY])] = row
    return [Trace(trace_id, list(found.values())) for trace_id, found in spans.items()]


def found_by(
    traces: Iterable[Trace],
    fits: Fits,
    *,
    start: int,
    end: int,
    of_trace: Callable[[list[Row]], bool] = lambda _: True,
    of_measures: Callable[[dict[str, Any]], bool] = lambda _: True,
    sort: str = "start",
    descending: bool = True,
) -> list[tuple[str, list[str]]]:
    """Ids of hits in their order, each with the ids of its spans that fit, in their order.

    Args:
        start, end: of the time range; only spans that start in it fit.
        of_trace: what must hold of the spans of the trace that start in the time range.
        of_measures: what must hold of the whole trace.
    """
    hits = []
    for trace in traces:
        within = [row for row in trace.rows if start <= row["Timestamp"] < end]
        matched = [row for row in within if fits(row)]
        measures = trace.measures
        if matched and of_trace(within) and of_measures(measures):
            starts = [row["Timestamp"] for row in matched]
            rank = measures[sort] if sort != "start" else max(starts) if descending else min(starts)
            spans = sorted((start_of(row), row["SpanId"]) for row in matched)
            hits.append((-rank if descending else rank, trace.trace_id, [span_id for _, span_id in spans]))
    return [(trace_id, spans) for _, trace_id, spans in sorted(hits)]
