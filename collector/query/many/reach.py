"""How much an analysis of many spans looks at.

Up to MOST_EXACT spans are looked at one by one: each once, though its client may have sent it twice, and percentiles are exact.
More are only added up as they are read, which needs no memory for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from collector.query.conditions import TraceSearch, conditions_of
from collector.query.grouping import Key, group_text
from collector.query.store import AMONG_MANY, ERROR, STATUS_CODES, SpanStore, Statement
from collector.query.wording import Wording

MOST_EXACT: Final = 1_000_000

_ONE_GROUP: Final = "''"
"""What all spans are grouped by where they are one group."""
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
        by: a column of texts for each, of which `group_columns` has the names; no such columns when None.
        weighted: whether a span counts for those that it stands for, or for itself.
        each_once: whether a span that its client sent twice is there once; then there are MOST_EXACT and one more at most.
    """
    conditions, parameters = conditions_of(store, search)
    selected = [f"{'AdjustedCount' if weighted else 1.0} AS Weight", *columns]
    if by is not None:
        wording = Wording(store.spans_table, parameters)
        texts = [f"toString({group_text(wording, key.field)})" for key in by] or [_ONE_GROUP]
        selected += [f"{text} AS {name}" for text, name in zip(texts, _names(by), strict=True)]
    once = f" LIMIT 1 BY {AMONG_MANY} LIMIT {MOST_EXACT + 1}" if each_once else ""
    return Statement(
        f"SELECT {', '.join(selected)} FROM {store.spans_table} WHERE {' AND '.join(conditions)}{once}",  # noqa: S608 - names are checked, values are bound
        parameters,
    )


def group_columns(by: Sequence[Key]) -> tuple[str, str]:
    """Of the spans of `spans_statement`: the columns to group by, and an expression for the array of a group's texts.

    An array of each span's texts would be hashed as a whole, which takes several times as long as a name that has a code.
    """
    names = ", ".join(_names(by))
    return names, f"[{names if by else ''}]::Array(String)"


def _names(by: Sequence[Key]) -> list[str]:
    return [f"Text{place}" for place in range(max(len(by), 1))]


async def fetch_by_reach(store: SpanStore, statement: Callable[[bool], Statement]) -> tuple[list[dict[str, Any]], bool]:
    """The rows of a statement that looks at spans one by one if they are few, else at all of them.

    Args:
        statement: makes it of `each_once`; its rows have `AllSpans`, the number of all spans that it has looked at.

    Returns:
        The rows; and whether each span counts once.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    # Few are usual, and what is read in vain of more is bounded; to count them first would take longer.
    rows = list((await store.fetch(statement(True))).rows())
    if not rows or rows[0]["AllSpans"] <= MOST_EXACT:
        return rows, True
    return list((await store.fetch(statement(False))).rows()), False
