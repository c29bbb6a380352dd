"""Failed spans by what they say of why: their message, exception, HTTP status, operation and service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from collector.query.conditions import TraceSearch
from collector.query.grouping import equals
from collector.query.many.occurrences import Occurrences
from collector.query.many.reach import FAILED, fetch_by_reach, spans_statement
from collector.query.store import SpanStore, Statement

_HTTP: Final = ("http.response.status_code", "http.status_code")
"""The key of an HTTP status, and the one that it had before."""
_EXCEPTION: Final = 'event["exception.type"]'

_ASPECTS: Final[Mapping[str, str]] = {
    "service": "[[ServiceName]]",
    "operation": "[[ServiceName, SpanName]]",
    "message": "[[StatusMessage]]",
    "exception": "if(empty(Exceptions), [['']], arrayMap(exception -> [exception], Exceptions))",
    "httpStatus": "[[HttpStatus]]",
}
"""What failed spans are broken down by → all groups that a span is in."""
ASPECTS: Final = tuple(_ASPECTS)
_EXCEPTIONS: Final = "arrayMap(attributes -> attributes['exception.type'], `Events.Attributes`)"
_SAID: Final = (
    f"arrayDistinct(arrayFilter(exception -> exception != '', {_EXCEPTIONS})) AS Exceptions",
    f"if(SpanAttributes['{_HTTP[0]}'] != '', SpanAttributes['{_HTTP[0]}'], SpanAttributes['{_HTTP[1]}']) AS HttpStatus",
)


@dataclass(frozen=True, slots=True)
class Failures:
    """What failed.

    Attributes:
        spans, count: of all spans that fit, as in Occurrences.
        errors: of `count`, those that failed.
        causes: aspect → those with the most failed spans, with the ids of the latest; a span with several exceptions is among the
            causes of each.
        cause_counts: aspect → how many causes there are, those left out included.
        each_once: whether a span that its client sent twice counts once.
    """

    spans: int
    count: float
    errors: float
    causes: dict[str, list[Occurrences]]
    cause_counts: dict[str, int]
    each_once: bool


def cause_words(aspect: str, texts: Sequence[str]) -> str | None:
    """What the search box finds the failed spans of a cause by; None where words cannot say it."""
    match aspect:
        case "service":
            return equals("service", texts[0])
        case "operation":
            terms = [equals(name, text) for name, text in zip(("service", "name"), texts, strict=True)]
            return None if None in terms else " and ".join(term for term in terms if term)
        case "message":
            return equals("status.message", texts[0])
        case "exception":
            # Of the texts that an event may have there, only others than the empty one are causes.
            return equals(_EXCEPTION, texts[0]) if texts[0] else f'not ({_EXCEPTION} =~ "(?s:.+)")'
    now, before = (f'span["{key}"]' for key in _HTTP)
    none = f'({now} = nil or {now} = "")'
    if not texts[0]:
        return f'{none} and ({before} = nil or {before} = "")'
    terms = [equals(now, texts[0]), equals(before, texts[0])]
    return None if None in terms else f"({terms[0]} or ({none} and {terms[1]}))"


def totals_statement(store: SpanStore, search: TraceSearch, *, weighted: bool, each_once: bool) -> Statement:
    """One row: `AllSpans`, `Count`, `Errors`."""
    spans = spans_statement(store, search, [f"{FAILED} AS Failed"], weighted=weighted, each_once=each_once)
    return Statement(
        f"SELECT count() AS AllSpans, sum(Weight) AS Count, sumIf(Weight, Failed) AS Errors FROM ({spans.sql})",  # noqa: S608 - names are checked, values are bound
        spans.parameters,
    )


def causes_statement(store: SpanStore, failed: TraceSearch, *, weighted: bool, each_once: bool, limit: int) -> Statement:
    """One row for each aspect and cause, those with the most spans first: `Aspect`, what `Occurrences` has, and `Causes`,
    which is how many there are of the aspect."""
    columns = ["TraceId", "SpanId", "ServiceName", "SpanName", "StatusMessage", "Timestamp", *_SAID]
    spans = spans_statement(store, failed, columns, weighted=weighted, each_once=each_once)
    aspects = ", ".join(f"arrayMap(texts -> ('{aspect}', texts), {groups})" for aspect, groups in _ASPECTS.items())
    return Statement(
        f"""
        SELECT *, count() OVER (PARTITION BY Aspect) AS Causes
        FROM
        (
            SELECT tupleElement(cause, 1) AS Aspect, tupleElement(cause, 2) AS Texts, count() AS Spans, sum(Weight) AS Count,
                toUnixTimestamp64Nano(min(Timestamp)) AS First, toUnixTimestamp64Nano(max(Timestamp)) AS Last,
                argMax((TraceId, SpanId), (Timestamp, TraceId, SpanId)) AS Latest
            FROM (SELECT *, arrayJoin(arrayConcat({aspects})) AS cause FROM ({spans.sql}))
            GROUP BY Aspect, Texts
        )
        ORDER BY Aspect, Count DESC, Texts LIMIT {{limit:UInt64}} BY Aspect""",  # noqa: S608 - names are checked, values are bound
        {**spans.parameters, "limit": limit},
    )


async def find_failures(store: SpanStore, search: TraceSearch, failed: TraceSearch, *, weighted: bool, limit: int) -> Failures:
    """The spans of a search that failed, by their causes.

    Args:
        failed: the same search of spans with the status Error only.
        limit: the most causes of an aspect.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    (totals,), each_once = await fetch_by_reach(
        store, lambda each_once: totals_statement(store, search, weighted=weighted, each_once=each_once)
    )
    causes: dict[str, list[Occurrences]] = {aspect: [] for aspect in ASPECTS}
    counts = dict.fromkeys(ASPECTS, 0)
    statement = causes_statement(store, failed, weighted=weighted, each_once=each_once, limit=limit)
    for row in (await store.fetch(statement)).rows():
        cause = Occurrences(tuple(row["Texts"]), row["Spans"], row["Count"], row["First"], row["Last"], *row["Latest"])
        causes[row["Aspect"]].append(cause)
        counts[row["Aspect"]] = row["Causes"]
    return Failures(totals["AllSpans"], totals["Count"], totals["Errors"], causes, counts, each_once)
