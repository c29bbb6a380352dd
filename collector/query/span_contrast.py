"""In which attributes some of many spans differ from the others: how often each value occurs among both, over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from collector.query.predicates import Predicate
from collector.query.stepped import SteppedSpans
from collector.query.store import SpanStore, Statement, time_range

_PAIRS: Final = """arrayConcat(
    [('name', SpanName), ('kind', lower(SpanKind)), ('status', lower(StatusCode)), ('statusMessage', StatusMessage),
        ('rootName', RootName), ('rootServiceName', RootService)],
    arrayMap((key, value) -> (concat('resource.', key), value), mapKeys(ResourceAttributes), mapValues(ResourceAttributes)),
    arrayMap((key, value) -> (concat('span.', key), value), mapKeys(SpanAttributes), mapValues(SpanAttributes))
)"""
"""What a span has, under the names by which TraceQL knows it."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Which spans are set against the others.

    Attributes:
        selection: they fit this.
        values: so many values of a key are told of at most, those that occur most, of either side.
        start, end: they start in [start, end), nanoseconds since 1970; None for whenever.
    """

    selection: Predicate
    values: int
    start: int | None = None
    end: int | None = None


Points = dict[int, float]
"""Start of a step, nanoseconds since 1970 → number of spans. Steps without are left out."""


@dataclass(frozen=True, slots=True)
class Side:
    """What is known of one key among the selected spans, or among the others.

    Attributes:
        total: spans that have the key.
        values: those with each of its most frequent values, in falling order.
    """

    total: Points
    values: list[tuple[str, Points]]


@dataclass(frozen=True, slots=True)
class ContrastedKey:
    """An attribute or a field of spans, such as `resource.service.name` or `kind`."""

    key: str
    baseline: Side
    selection: Side


def contrast_statement(store: SpanStore, contrast: Contrast, spans: SteppedSpans, limit: int) -> Statement:
    """One row for each key, those that most spans have first."""
    wording, parameters = spans.wording(store)
    parameters |= {"limit": limit, "values": contrast.values}
    chosen = wording.condition(contrast.selection)
    if contrast.start is not None and contrast.end is not None:
        within, bounds = time_range(contrast.start, contrast.end, "chosen_")
        chosen = f"({chosen}) AND {within}"
        parameters |= bounds
    beside = f" LEFT JOIN {wording.roots()} AS roots USING (TraceId)"
    selected = spans.select(store, wording, f"{_PAIRS} AS Pairs, {chosen} AS Chosen, {spans.weight} AS Weight", beside=beside)
    counts = (
        "SELECT Pair.1 AS Key, Pair.2 AS Value, Chosen, sumMap([Step], [Weight]) AS Steps, sum(Weight) AS Spans"
        " FROM spans ARRAY JOIN Pairs AS Pair WHERE Value != '' GROUP BY Key, Value, Chosen"
    )
    sides = ", ".join(
        f"sumMapIf(Steps.1, Steps.2, {side}) AS {name}Total, arraySlice(arraySort(each -> (-each.1, each.2),"
        f" groupArrayIf((Spans, Value, Steps), {side})), 1, {{values:UInt64}}) AS {name}Values"
        for name, side in (("Baseline", "NOT Chosen"), ("Selection", "Chosen"))
    )
    return Statement(
        f"WITH spans AS ({selected}), counts AS ({counts})"  # noqa: S608 - names are checked, values are bound
        f" SELECT Key, {sides} FROM counts GROUP BY Key ORDER BY sum(Spans) DESC, Key LIMIT {{limit:UInt64}}",
        parameters,
    )


async def find_contrast(
    store: SpanStore, contrast: Contrast, spans: SteppedSpans, limit: int
) -> tuple[list[ContrastedKey], bool]:
    """What the chosen spans and the others have, in each step, and whether these are all keys.

    Args:
        limit: so many keys at most, those that most spans have.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """

    def points(steps: list[list[Any]]) -> Points:
        return {spans.start_of(number): count for number, count in zip(*steps, strict=True)}

    def side(row: dict[str, Any], name: str) -> Side:
        return Side(points(row[f"{name}Total"]), [(value, points(steps)) for _, value, steps in row[f"{name}Values"]])

    rows: Any = (await store.fetch(contrast_statement(store, contrast, spans, limit + 1))).rows()
    found = [ContrastedKey(row["Key"], side(row, "Baseline"), side(row, "Selection")) for row in rows]
    return found[:limit], len(found) <= limit
