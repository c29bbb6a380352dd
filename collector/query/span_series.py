"""Numbers over time that are made of the spans themselves, by any of their fields: what no table of rates was asked to keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from collector.query.grouping import Label, OfRoot, label_text
from collector.query.predicates import Field
from collector.query.stepped import SteppedSpans
from collector.query.store import DURATION, SpanStore, Statement

METRICS: Final[Mapping[str, str]] = {
    "rate": "rate()",
    "count_over_time": "count_over_time()",
    "sum_over_time": "sum_over_time(duration)",
    "avg_over_time": "avg_over_time(duration)",
    "min_over_time": "min_over_time(duration)",
    "max_over_time": "max_over_time(duration)",
    "quantile_over_time": "quantile_over_time(duration, 0.5, 0.99)",
    "histogram_over_time": "histogram_over_time(duration)",
}
"""What can be made of spans, by TraceQL's names → how it is written."""

_SECOND: Final = 10**9
_PARTS: Final = 1_000
_MOST_PARTS: Final = 1e18


@dataclass(frozen=True, slots=True)
class Metric:
    """What is made of spans.

    Attributes:
        function: one of METRICS.
        field: of which a number is taken; None where spans are counted.
        quantiles: from 0 to 1, of quantile_over_time.
        by: fields by which spans are grouped, under the words for them.
    """

    function: str
    field: Field | None
    quantiles: tuple[float, ...]
    by: Mapping[str, Label]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A span that shows what a number is made of.

    Attributes:
        step: start of the step that it lies in; as `time`, nanoseconds since 1970.
        time: when it starts.
        value: the number that is taken of it; None where spans are counted.
    """

    step: int
    trace_id: str
    span_id: str
    time: int
    value: float | None


@dataclass(frozen=True, slots=True)
class SpanSeries:
    """One group of spans.

    Attributes:
        group: texts of the fields, in the order of `Metric.by`; empty texts where spans lack them. Of histogram_over_time the
            power of two up to which numbers are counted, above the one before, comes last.
        points: start of a step, nanoseconds since 1970 → a number, or one for each quantile; durations are seconds, rates are
            of a second. Steps without spans are left out.
        exemplars: of each step the span with the largest number, the smallest for min_over_time, and the slowest where spans
            are counted; none unless they are asked for.
    """

    group: tuple[str, ...]
    points: dict[int, list[float]] = field(default_factory=dict)
    exemplars: list[Exemplar] = field(default_factory=list)


def series_statement(store: SpanStore, metric: Metric, spans: SteppedSpans, limit: int, *, exemplars: bool) -> Statement:
    """One row for each group and step, of so many groups, those with the most spans: `Group`, `Step`, `Spans`, `Numbers`, and
    `Exemplar`."""
    wording, parameters = spans.wording(store)
    parameters["limit"] = limit
    groups = [label_text(wording, label) for label in metric.by.values()]
    of_roots = any(isinstance(label, OfRoot) for label in metric.by.values())
    beside = f" LEFT JOIN {wording.roots()} AS roots USING (TraceId)" if of_roots else ""
    value = "1" if metric.field is None else f"toFloat64({wording.number(metric.field)})"
    if metric.field == "duration":
        value = f"{value} / {_SECOND}"
    if metric.function == "histogram_over_time":
        groups.append("if(assumeNotNull(Value) > 0, pow(2, ceil(log2(assumeNotNull(Value)))), 0)")
    told, exemplar = "", ""
    if exemplars:
        told = f", TraceId, SpanId, toUnixTimestamp64Nano(Timestamp) AS Time, {DURATION} AS Length"
        extreme = "argMin" if metric.function == "min_over_time" else "argMax"
        rank = "Length" if metric.field is None else "assumeNotNull(Value)"
        exemplar = f", {extreme}((TraceId, SpanId, Time, toFloat64(assumeNotNull(Value))), {rank}) AS Exemplar"
    group = f"[{', '.join(f'toString({group})' for group in groups)}]::Array(String)"
    selected = spans.select(
        store,
        wording,
        f"{group} AS Group, {value} AS Value, {spans.weight} AS Weight{told}",
        beside=beside,
        # One NaN would make all of a step's numbers none.
        further="isFinite(Value)",
    )
    numbers = _numbers(metric, weighted=spans.weighted)
    # Where all spans are one group, they need not be read once more to find the largest.
    largest = (
        " WHERE Group IN (SELECT Group FROM spans GROUP BY Group ORDER BY count() DESC, Group LIMIT {limit:UInt64})"
        if groups
        else ""
    )
    return Statement(
        f"WITH spans AS ({selected})"  # noqa: S608 - names are checked, values are bound
        f" SELECT Group, Step, toInt64(count()) AS Spans, [{numbers}]::Array(Float64) AS Numbers{exemplar} FROM spans"
        f"{largest} GROUP BY Group, Step ORDER BY Group, Step",
        parameters,
    )


def _numbers(metric: Metric, *, weighted: bool) -> str:
    """What is made of the spans of a group and step, from their `Value` and `Weight`."""
    match metric.function:
        case "rate":
            return f"sum(Weight) * {_SECOND} / {{step:UInt64}}"
        case "count_over_time" | "histogram_over_time":
            return "sum(Weight)"
        case "sum_over_time":
            return "sum(assumeNotNull(Value) * Weight)"
        case "avg_over_time":
            return "sum(assumeNotNull(Value) * Weight) / sum(Weight)"
        case "quantile_over_time" if weighted:
            # Weights must be whole numbers there.
            weight = f"toUInt64(least(Weight * {_PARTS}, {_MOST_PARTS}))"
            return ", ".join(f"quantileTDigestWeighted({each!r})(assumeNotNull(Value), {weight})" for each in metric.quantiles)
        case "quantile_over_time":
            return ", ".join(f"quantileTDigest({quantile!r})(assumeNotNull(Value))" for quantile in metric.quantiles)
    return f"assumeNotNull({metric.function.removesuffix('_over_time')}(Value))"


async def find_series(
    store: SpanStore, metric: Metric, spans: SteppedSpans, limit: int, *, exemplars: bool = False
) -> tuple[list[SpanSeries], bool]:
    """The numbers of spans in each step, and whether these are all groups.

    Args:
        limit: so many groups at most, those with the most spans.
        exemplars: whether spans are told as well.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    found: dict[tuple[str, ...], SpanSeries] = {}
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    rows: Any = (await store.fetch(series_statement(store, metric, spans, limit + 1, exemplars=exemplars))).rows()
    for row in rows:
        group = tuple(row["Group"])
        counts[group] += row["Spans"]
        series = found.setdefault(group, SpanSeries(group))
        of_step = spans.start_of(row["Step"])
        series.points[of_step] = row["Numbers"]
        if exemplars:
            trace_id, span_id, time, value = row["Exemplar"]
            series.exemplars.append(Exemplar(of_step, trace_id, span_id, time, None if metric.field is None else value))
    complete = len(found) <= limit
    if not complete:
        del found[max(found, key=lambda group: (-counts[group], group))]
    return list(found.values()), complete
