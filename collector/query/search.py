"""Finding traces: a search in, one page of hits out.

A trace is a hit when at least one of its spans fits, on which all conditions on spans hold, and when it fits as a whole.
`conditions.py` has what can be asked for, `ranking.py` the order of hits and how pages follow each other, `hits.py` what is told
of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from collector.query.bounds import LAST_SECOND, Bounds
from collector.query.conditions import OfTrace, Sort, TraceSearch, conditions_of
from collector.query.hits import Hit, Matched, MatchedSpan, ServiceShare, find_hits
from collector.query.ranking import MOST_MEASURED, Cursor, decode_cursor, encode_cursor, ranking_statement
from collector.query.store import SpanStore

__all__ = [
    "Cursor",
    "Hit",
    "Matched",
    "MatchedSpan",
    "OfTrace",
    "Page",
    "ServiceShare",
    "Sort",
    "TraceSearch",
    "conditions_of",
    "decode_cursor",
    "encode_cursor",
    "find_hits",
    "find_traces",
]


SECOND: Final = 10**9
_MOST_TRACES_S: Final = 60
"""So long are nearly all traces."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some hits.

    Attributes:
        cursor: where the next ones begin; None when there are no more.
        total: traces that were found, on this page and others, when the first page was asked for.
        weighted_total: how many traces those stand for, where the search is weighted.
        complete: whether these are all, in their order; else they are of the MOST_MEASURED traces with the newest fitting spans.
    """

    hits: list[Hit] = field(default_factory=list)
    cursor: Cursor | None = None
    total: int = 0
    complete: bool = True
    weighted_total: float = 0.0

    @property
    def incomplete_because(self) -> str:
        """Why they are not all, and what would help; empty where they are."""
        if self.complete:
            return ""
        return (
            f"More than {MOST_MEASURED} traces have a span that fits. Only those with the newest such spans were measured as a"
            " whole, which the conditions on traces or the order need; narrow the time range or the conditions on spans."
        )


async def find_traces(store: SpanStore, search: TraceSearch, cursor: Cursor | None = None) -> Page:
    """One page of hits, those after `cursor` or the first ones.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    (row,) = (await store.fetch(ranking_statement(store, search, cursor))).rows()
    total, complete, weighted_total = row["Total"], not row["Cut"], row["WeightedTotal"]
    if cursor is not None:
        total, complete, weighted_total = cursor.total, cursor.complete, cursor.weighted_total
    trace_ids = row["TraceIds"][: search.limit]
    if not trace_ids:
        return Page(total=total, complete=complete, weighted_total=weighted_total)
    near = _near(row["Ranks"][: search.limit]) if search.sort == "start" else None
    hits = await find_hits(store, trace_ids, search.workspace, search, near)
    more = len(row["TraceIds"]) > search.limit
    last = len(trace_ids) - 1
    after = Cursor(row["Ranks"][last], trace_ids[last], total, complete, weighted_total) if more else None
    return Page(hits, after, total, complete, weighted_total)


def _near(starts: Sequence[int]) -> Bounds:
    """Where traces lie with spans that start then, nanoseconds, unless they are long ones."""
    return Bounds(max(min(starts) // SECOND - _MOST_TRACES_S, 0), min(max(starts) // SECOND + _MOST_TRACES_S, LAST_SECOND))
