"""Which traces a search finds, and in which order: one statement that ranks all hits and answers with one page of ids.

Two traces of equal rank are in the order of their ids, so that the order is total, and a cursor names the last hit of a page and
means "after that". By start, a trace has the rank of its last span that fits (its first one in ascending order), and so do others
with what only grows: a trace that was on a page does not come again on a later one when more of its spans arrive.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from collector.query.conditions import Measure, OfTrace, TraceSearch, conditions_of
from collector.query.store import ERROR, IDENTITY, MAX_TIMESTAMP, START, STATUS_CODES, SpanStore, Statement
from collector.query.wording import END, Wording

MOST_MEASURED: Final = 100_000
"""So many traces, those with the newest spans that fit, are measured as a whole; more would take too long."""

DRAWN: Final = "cityHash64(TraceId), TraceId"
"""The order of traces of which the first ones are a fair sample."""

_LAST_SECOND: Final = 2**32 - 1
_MEASURES: Final[dict[Measure, str]] = {
    # A difference has a sign in ClickHouse, times from 0 to 2^64 - 1 have not.
    "duration": f"least(toUInt64(max(greatest({START}, {END})) - min({START})), {MAX_TIMESTAMP})",
    "spans": f"uniqExact({IDENTITY})",
    "errors": f"uniqExactIf({IDENTITY}, StatusCode = '{STATUS_CODES[ERROR]}')",
    "root service": f"argMinIf(ServiceName, ({START}, SpanId, SpanName), ParentSpanId = '')",
    "root name": f"argMinIf(SpanName, ({START}, SpanId, SpanName), ParentSpanId = '')",
}
_NAMES: Final[dict[Measure, str]] = {
    "duration": "TraceDuration",
    "spans": "TraceSpans",
    "errors": "TraceErrors",
    "root service": "RootService",
    "root name": "RootName",
}
_NUMBERS: Final[frozenset[Measure]] = frozenset({"duration", "spans", "errors"})


@dataclass(frozen=True, slots=True)
class Cursor:
    """After which hit a page begins.

    Attributes:
        rank, trace_id: of that hit; a rank is nanoseconds or a number of spans.
        total, weighted_total: as many traces the first page said that there are, and that those stand for.
        complete: whether that was all.
    """

    rank: int
    trace_id: str
    total: int = 0
    complete: bool = True
    weighted_total: float = 0.0


def encode_cursor(search: TraceSearch, cursor: Cursor) -> str:
    """An opaque text for clients."""
    parts = [search.fingerprint, cursor.rank, cursor.trace_id, cursor.total, cursor.complete, cursor.weighted_total]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def decode_cursor(search: TraceSearch, text: str) -> Cursor:
    """Read what `encode_cursor` wrote.

    Raises:
        ValueError: it wrote something else, or for another search.
    """
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        fingerprint, rank, trace_id, total, complete, weighted_total = parts
        cursor = Cursor(int(rank), str(trace_id), int(total), bool(complete), float(weighted_total))
    except (ValueError, TypeError) as error:
        raise ValueError("not a cursor that this server gave out") from error
    if not 0 <= cursor.rank <= MAX_TIMESTAMP:
        raise ValueError("not a cursor that this server gave out")
    if fingerprint != search.fingerprint:
        raise ValueError("the cursor belongs to a search with other parameters")
    return cursor


def ranking_statement(store: SpanStore, search: TraceSearch, cursor: Cursor | None) -> Statement:
    """One row: `TraceIds` and `Ranks` of one page plus one more, `Total` of all hits, and `Cut`, whether there may be more.

    `WeightedTotal` is how many traces all hits stand for, where the search is weighted. Both totals are 0 on an empty page.
    """
    ranked = _ranked(store, search)
    parameters = ranked.parameters
    rank = "LastFitting" if search.sort == "start" else _NAMES[search.sort]
    after = ""
    if cursor is not None:
        sign = "<" if search.descending else ">"
        after = f"WHERE Rank {sign} {{rank:Int64}} OR (Rank = {{rank:Int64}} AND TraceId > {{after:String}})"
        parameters |= {"rank": cursor.rank, "after": cursor.trace_id}
    parameters["limit"] = search.limit + 1
    return Statement(
        f"""{ranked.preface}
        SELECT groupArray(TraceId) AS TraceIds, groupArray(Rank) AS Ranks, any(Total) AS Total,
            any(WeightedTotal) AS WeightedTotal, {ranked.cut} AS Cut
        FROM
        (
            SELECT TraceId, Rank, Total, WeightedTotal
            FROM
            (
                SELECT TraceId, {rank} AS Rank, count() OVER () AS Total,
                    {"sum(Weight) OVER ()" if search.weighted else "0."} AS WeightedTotal
                FROM ({ranked.sql})
            )
            {after}
            ORDER BY Rank {"DESC" if search.descending else "ASC"}, TraceId
            LIMIT {{limit:UInt64}}
        )""",  # noqa: S608 - the name is checked, values are bound
        parameters,
    )


def sample_statement(store: SpanStore, search: TraceSearch, count: int) -> Statement:
    """One row: `TraceIds`, so many of all hits, drawn by their ids; `Total` and `Cut` as in `ranking_statement`."""
    ranked = _ranked(store, search)
    return Statement(
        f"""{ranked.preface}
        SELECT groupArray(TraceId) AS TraceIds, any(Total) AS Total, {ranked.cut} AS Cut
        FROM
        (
            SELECT TraceId, count() OVER () AS Total FROM ({ranked.sql})
            ORDER BY {DRAWN} LIMIT {{count:UInt64}}
        )""",  # noqa: S608 - the name is checked, values are bound
        {**ranked.parameters, "count": count},
    )


class _Ranked(NamedTuple):
    """Hits with what they are ranked by: their SQL, what must stand before the whole statement, and whether there may be more."""

    sql: str
    preface: str
    cut: str
    parameters: dict[str, object]


def _ranked(store: SpanStore, search: TraceSearch) -> _Ranked:
    conditions, parameters = conditions_of(store, search)
    latest = "max" if search.descending else "min"
    fitting = (
        # Samplers that agree have kept something of a trace when they have kept its likeliest span.
        f"SELECT TraceId, toUnixTimestamp64Nano({latest}(Timestamp)) AS LastFitting"  # noqa: S608 - the name is checked, values are bound
        f", {'min(AdjustedCount)' if search.weighted else 1.0} AS Weight"
        f" FROM {store.spans_table} WHERE {' AND '.join(conditions)} GROUP BY TraceId"
    )
    measures = list(dict.fromkeys([condition.measure for condition in search.traces]))
    if search.sort != "start":
        measures = list(dict.fromkeys([*measures, search.sort]))
    if not measures:
        return _Ranked(fitting, "", "false", parameters)
    measured = _measured(store, search, measures, parameters)
    return _Ranked(measured, f"WITH {_fitting_once(store, fitting)}", f"length(Fitting) > {MOST_MEASURED}", parameters)


def _fitting_once(store: SpanStore, fitting: str) -> str:
    """What is worked out once: the traces with a span that fits, and between which nanoseconds all their spans start.

    The companion table says the latter. Where it lacks a trace, or a time did not fit its columns (see `bounds.py`), that is any.
    """
    return f"""
            (
                SELECT groupArray((TraceId, LastFitting, Weight))
                FROM ({fitting} ORDER BY max(Timestamp) DESC, TraceId LIMIT {MOST_MEASURED + 1})
            ) AS Fitting,
            (
                SELECT if(
                    uniqExact(TraceId) < length(Fitting) OR toUnixTimestamp(max(End)) >= {_LAST_SECOND} OR min(Start) > max(End),
                    (toInt64(0), toInt64({MAX_TIMESTAMP})),
                    (toUnixTimestamp(min(Start)) * toInt64(1000000000), (toUnixTimestamp(max(End)) + 1) * toInt64(1000000000) - 1)
                )
                FROM {store.bounds_table}
                WHERE Workspace = {{workspace:String}} AND TraceId IN (SELECT tupleElement(arrayJoin(Fitting), 1))
            ) AS Extent"""  # noqa: S608 - the names are checked, values are bound


def _measured(store: SpanStore, search: TraceSearch, measures: list[Measure], parameters: dict[str, object]) -> str:
    """Traces that have a span that fits, as a whole, and fit as such."""
    wording = Wording(store.spans_table, parameters)
    conditions = [_condition(wording, condition) for condition in search.traces]
    columns = "".join(f", {_MEASURES[measure]} AS {_NAMES[measure]}" for measure in measures)
    return f"""
        SELECT *
        FROM
        (
            SELECT TraceId, countIf(ParentSpanId = '') AS Roots{columns}
            FROM {store.spans_table}
            WHERE Workspace = {{workspace:String}} AND TraceId IN (SELECT tupleElement(arrayJoin(Fitting), 1))
                AND Timestamp >= fromUnixTimestamp64Nano(tupleElement(Extent, 1))
                AND Timestamp <= fromUnixTimestamp64Nano(tupleElement(Extent, 2))
            GROUP BY TraceId
        ) AS whole
        INNER JOIN
        (
            SELECT tupleElement(each, 1) AS TraceId, tupleElement(each, 2) AS LastFitting, tupleElement(each, 3) AS Weight
            FROM (SELECT arrayJoin(arraySlice(Fitting, 1, {MOST_MEASURED})) AS each)
        ) AS fitting USING (TraceId)
        WHERE {" AND ".join(conditions) or "true"}"""  # noqa: S608 - the name is checked, values are bound


def _condition(wording: Wording, condition: OfTrace) -> str:
    name = _NAMES[condition.measure]
    compared = wording.compared(name, condition.operator, condition.value, is_number=condition.measure in _NUMBERS)
    return f"({compared})" if condition.measure in _NUMBERS else f"(Roots > 0 AND {compared})"
