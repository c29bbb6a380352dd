"""What tells some spans from others: fields and attributes whose values are more frequent among the ones than among the others.

How much a value tells them apart is measured by the likelihood ratio G² of the table of who has it and who has not, which is also
how much is learnt from the value about which of the two a span is among. It holds for rare values, where differences of shares
and chi-square exaggerate; an id that occurs once tells nothing. Source: Dunning, "Accurate methods for the statistics of surprise
and coincidence", Computational Linguistics 19(1), 1993. That chance makes so much of a difference in one of so many values has at
most the probability that chi-square with one degree of freedom gives it, times the number of values (Bonferroni).

A span that stands for several adds no evidence for those that were not seen: shares are weighted, and count as much as Kish's
effective size of the sample says, (sum of weights)² / sum of squared weights (Kish, "Survey Sampling", 1965).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.query.conditions import TraceSearch, conditions_of
from collector.query.grouping import equals
from collector.query.predicates import Predicate
from collector.query.store import AMONG_MANY, SpanStore, Statement, time_range
from collector.query.wording import Wording

Level = Literal["field", "span", "resource"]

LEAST_SPANS: Final = 5
"""A value that fewer spans of both samples have is left out: nothing can be said of it."""
MOST_VALUES: Final = 50_000
"""So many values are compared, those that the most spans have."""
SIGNIFICANT: Final = 0.01
"""Differences that chance makes with at least this probability are left out."""
MOST_CHARACTERS: Final = 2001
"""Of a value; of longer ones the beginnings are compared."""

_FIELDS: Final = {
    "service": "ServiceName",
    "name": "SpanName",
    "kind": "lower(SpanKind)",
    "status": "lower(StatusCode)",
    "status.message": "StatusMessage",
    "scope.name": "ScopeName",
}
_HASH: Final = "cityHash64(TraceId, SpanId)"
_ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans that start in [start, end), nanoseconds, and fit."""

    start: int
    end: int
    where: Predicate


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared.

    Attributes:
        search: what holds of all spans, over both time ranges.
        selection: the ones; a span that is among the others too is one of these.
        baseline: the others; the rest of the spans of the selection's time range when None.
        sample: about so many spans of each are looked at.
        weighted: whether a span counts for those that sampling has dropped.
    """

    search: TraceSearch
    selection: Spans
    baseline: Spans | None
    sample: int
    weighted: bool = True


class Side(NamedTuple):
    """How many spans there are on one side.

    Attributes:
        spans: that fit; one that its client sent twice counts twice.
        sampled: of those, how many were looked at, each once.
        weight: how many those stand for, or `sampled` where that was not asked for.
    """

    spans: int
    sampled: int
    weight: float


class Difference(NamedTuple):
    """A value that one side has more often.

    Attributes:
        level: of what it is; a field of the span, or an attribute of the span or its resource.
        spans: of the samples of selection and baseline, how many have it.
        shares: of all of those, weighted.
        g_squared: the likelihood ratio.
        probability: that chance makes so much of a difference somewhere, at most 1.
    """

    level: Level
    key: str
    value: str
    spans: tuple[int, int]
    shares: tuple[float, float]
    g_squared: float
    probability: float

    @property
    def words(self) -> str | None:
        """What the search box finds the spans with this value by; None where words cannot say it."""
        name = self.key if self.level == "field" else f"{self.level}[{json.dumps(self.key, ensure_ascii=False)}]"
        return equals(name, self.value) if self.value or self.key not in ("kind", "status") else None


@dataclass(frozen=True, slots=True)
class Differences:
    """What was found.

    Attributes:
        found: those that chance hardly makes, the greatest first.
        values: how many values were compared.
        complete: whether those were all.
    """

    selection: Side
    baseline: Side
    found: list[Difference]
    values: int
    complete: bool


def g_squared(having: tuple[NDArray[np.float64], NDArray[np.float64]], sizes: tuple[float, float]) -> NDArray[np.float64]:
    """The likelihood ratio of the tables of two samples and who of them has a value.

    Args:
        having: of each sample, how many have each value, shape (values,).
        sizes: of the samples.
    """
    total = sum(sizes)
    result = np.zeros(len(having[0]))
    with_value = having[0] + having[1]
    for observed_with, size in zip(having, sizes, strict=True):
        for observed, in_all in ((observed_with, with_value), (size - observed_with, total - with_value)):
            expected = in_all * (size / total)
            # What is not there adds nothing.
            ratio = np.divide(observed, expected, out=np.ones_like(observed), where=observed > 0)
            result += observed * np.log(ratio)
    return np.maximum(2 * result, 0.0)


def sizes_statement(store: SpanStore, comparison: Comparison) -> Statement:
    """One row: `Selected` and `Others`, how many spans there are on both sides."""
    conditions, selected, parameters = _sides(store, comparison)
    return Statement(
        f"SELECT countIf(Side) AS Selected, countIf(NOT Side) AS Others"  # noqa: S608 - names are checked, values are bound
        f" FROM (SELECT {selected} AS Side FROM {store.spans_table} WHERE {conditions})",
        parameters,
    )


def values_statement(store: SpanStore, comparison: Comparison, thresholds: Sequence[int]) -> Statement:
    """One row for each value that enough spans have: `Level`, `Key`, `Value`, and, as pairs for selection and baseline, `Spans`,
    `Weights`, and `Squares` of weights. All spans of the samples are under the level `all`, which comes first.

    Args:
        thresholds: of selection and baseline, up to which hash a span is in the sample.
    """
    conditions, selected, parameters = _sides(store, comparison)
    parameters |= {"selected_up_to": thresholds[0], "others_up_to": thresholds[1], "most": MOST_VALUES + 2}
    cut = f"substringUTF8({{value}}, 1, {MOST_CHARACTERS})"
    fields = ", ".join(f"('field', '{name}', {cut.format(value=column)})" for name, column in _FIELDS.items())
    # Of equal keys the first counts, as in searches.
    attributes = ", ".join(
        f"arrayFilter((pair, number) -> number = 1, arrayMap((key, value) -> ('{level}', toString(key),"
        f" {cut.format(value='value')}), mapKeys({column}), mapValues({column})), arrayEnumerateUniq(mapKeys({column})))"
        for level, column in (("span", "SpanAttributes"), ("resource", "ResourceAttributes"))
    )
    return Statement(
        f"""
        SELECT tupleElement(pair, 1) AS Level, tupleElement(pair, 2) AS Key, tupleElement(pair, 3) AS Value,
            (countIf(Side), countIf(NOT Side)) AS Spans,
            (sumIf(Weight, Side), sumIf(Weight, NOT Side)) AS Weights,
            (sumIf(Weight * Weight, Side), sumIf(Weight * Weight, NOT Side)) AS Squares
        FROM
        (
            SELECT Side, Weight, arrayJoin(arrayConcat([('{_ALL}', '', ''), {fields}], {attributes})) AS pair
            FROM
            (
                SELECT ServiceName, SpanName, SpanKind, StatusCode, StatusMessage, ScopeName, SpanAttributes, ResourceAttributes,
                    {selected} AS Side, {"AdjustedCount" if comparison.weighted else 1.0} AS Weight
                FROM {store.spans_table}
                WHERE {conditions} AND {_HASH} <= if(Side, {{selected_up_to:UInt64}}, {{others_up_to:UInt64}})
                LIMIT 1 BY {AMONG_MANY}
            )
        )
        GROUP BY Level, Key, Value HAVING Level = '{_ALL}' OR count() >= {LEAST_SPANS}
        ORDER BY Level != '{_ALL}', count() DESC, Level, Key, Value LIMIT {{most:UInt64}}""",  # noqa: S608 - names are checked, values are bound
        parameters,
    )


async def find_differences(store: SpanStore, comparison: Comparison) -> Differences:
    """What tells the selection from the baseline.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    (sizes,) = (await store.fetch(sizes_statement(store, comparison))).rows()
    spans = (sizes["Selected"], sizes["Others"])
    thresholds = [min(comparison.sample * 2**64 // max(size, 1), 2**64 - 1) for size in spans]
    columns = (await store.fetch(values_statement(store, comparison, thresholds))).columns
    if not columns["Level"]:
        nobody = Side(0, 0, 0.0)
        return Differences(nobody, nobody, [], 0, complete=True)
    sides = [Side(spans[side], columns["Spans"][0][side], columns["Weights"][0][side]) for side in (0, 1)]
    complete = len(columns["Level"]) <= MOST_VALUES + 1
    listed = slice(1, MOST_VALUES + 1)
    rows = list(zip(*(columns[name][listed] for name in ("Level", "Key", "Value", "Spans", "Weights")), strict=True))
    found: list[Difference] = []
    if rows and all(side.sampled for side in sides):
        shares = np.array([row[4] for row in rows]) / [side.weight for side in sides]
        effective = [side.weight**2 / columns["Squares"][0][number] for number, side in enumerate(sides)]
        scores = g_squared((shares[:, 0] * effective[0], shares[:, 1] * effective[1]), (effective[0], effective[1]))
        for (level, key, value, having, _), share, score in zip(rows, shares.tolist(), scores.tolist(), strict=True):
            probability = min(math.erfc(math.sqrt(score / 2)) * len(rows), 1.0)
            if probability < SIGNIFICANT:
                found.append(Difference(level, key, value, tuple(having), tuple(share), score, probability))
    found.sort(key=lambda each: (-each.g_squared, each.level, each.key, each.value))
    return Differences(sides[0], sides[1], found, len(rows), complete)


def _sides(store: SpanStore, comparison: Comparison) -> tuple[str, str, dict[str, object]]:
    """Conditions that a span is on either side, and that it is in the selection; and their parameters."""
    conditions, parameters = conditions_of(store, comparison.search)
    wording = Wording(store.spans_table, parameters)

    def condition(spans: Spans, name: str) -> str:
        within, bound = time_range(spans.start, spans.end, f"{name}_")
        parameters.update(bound)
        return f"({within} AND {wording.condition(spans.where)})"

    selected = condition(comparison.selection, "selection")
    if comparison.baseline is not None:
        conditions.append(f"({selected} OR {condition(comparison.baseline, 'baseline')})")
    return " AND ".join(conditions), selected, parameters
