"""How much an analysis of many spans looks at, which is found out before it does.

Up to MOST_EXACT spans are looked at one by one: each once, though its client may have sent it twice, and percentiles are exact.
More are only added up as they are read, which needs no memory for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from collector.query.conditions import TraceSearch, conditions_of
from collector.query.grouping import Key, group_text
from collector.query.predicates import EVERY_SPAN
from collector.query.store import ERROR, STATUS_CODES, SpanStore, Statement
from collector.query.wording import Wording

MOST_EXACT: Final = 1_000_000

# Receiver contract DATA-24. Attributes are left out, unlike where a trace is read: reading them costs more than all the rest, and
# two spans that agree to the nanosecond in everything else are the same to an analysis anyway.
IDENTITY: Final = "cityHash64(TraceId, SpanId, SpanKind, ServiceName, Timestamp, Duration, SpanName)"
FAILED: Final = f"StatusCode = '{STATUS_CODES[ERROR]}'"


def spans_statement(
    store: SpanStore,
    search: TraceSearch,
    columns: Sequence[str],
    *,
    by: Sequence[Key] | None = None,
    weighted: bool = True,
    each_once: bool = False,
) -> Statement:
    """The spans that fit: `Weight`, which is how many each counts for, at least 1, and what else is asked for.

    Args:
        columns: expressions over the table's columns, with names.
        by: what the array `Texts` has the texts of; no such column when None.
        weighted: whether a span counts for those that it stands for, or for itself.
        each_once: whether a span that its client sent twice is there once; it costs memory for each span.
    """
    conditions, parameters = conditions_of(store, search)
    selected = [f"{'AdjustedCount' if weighted else 1.0} AS Weight", *columns]
    if by is not None:
        wording = Wording(store.spans_table, parameters)
        texts = ", ".join(f"toString({group_text(wording, key.field)})" for key in by)
        selected.append(f"[{texts}]::Array(String) AS Texts")
    once = f" LIMIT 1 BY {IDENTITY}" if each_once else ""
    return Statement(
        f"SELECT {', '.join(selected)} FROM {store.spans_table} WHERE {' AND '.join(conditions)}{once}",  # noqa: S608 - names are checked, values are bound
        parameters,
    )


async def are_few(store: SpanStore, search: TraceSearch) -> bool:
    """Whether no more than MOST_EXACT spans fit.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    # What the primary key and the partitions say; conditions beyond that would be worked out, which is what is to be saved.
    inside = replace(search, where=EVERY_SPAN, attributes=())
    narrow = spans_statement(store, inside, [], weighted=False)
    estimate = await store.fetch(Statement(f"EXPLAIN ESTIMATE {narrow.sql}", narrow.parameters))
    # A table that reads from others says nothing of them.
    if 0 < sum(estimate.columns.get("rows", ())) <= MOST_EXACT:
        return True
    fitting = spans_statement(store, search, ["count() AS Spans"], weighted=False)
    return int((await store.fetch(fitting)).columns["Spans"][0]) <= MOST_EXACT
