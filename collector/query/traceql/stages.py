"""What stands behind a bar in TraceQL: what is measured of the spans of a trace, how they are grouped, and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from collector.query.grouping import Label, OfRoot, is_groupable, is_label
from collector.query.predicates import AllOf, Field, Measured, Operator, Predicate
from collector.query.span_contrast import Contrast
from collector.query.span_series import METRICS, Metric
from collector.query.traceql.constants import constant_of
from collector.query.traceql.numbers import field_number, span_number
from collector.query.traceql.source import Source, Words, words

_SERVED: Final = "there are count(), avg, min, max and sum of a field, by, coalesce() and select"
RANKS: Final = ("topk", "bottomk")
ONLY_NARROWED: Final = "nothing but topk, bottomk and comparisons is served here after a metric"
_MOST_RANKED: Final = 1_000
_USUAL_VALUES: Final = 10
_MOST_VALUES: Final = 100
_LATEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Ranked:
    """Of the series of a metric only so many are kept at each step: the largest (`topk`) or the smallest (`bottomk`)."""

    function: Literal["topk", "bottomk"]
    count: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Of the numbers of a metric only those are kept that compare so."""

    operator: Operator
    value: float


@dataclass(frozen=True, slots=True)
class Call:
    """A function that is called behind a bar.

    Attributes:
        tree: all of its words.
        by: fields by which it groups, as far as it names any.
        compared: what its result is compared with; None without.
    """

    tree: Words
    function: str
    arguments: list[Words]
    by: list[Words]
    compared: Words | None


def call_of(tree: Words) -> Call:
    """The parts of a call."""
    name, *rest = map(words, tree.children)
    arguments = [words(part.children[0]) for part in rest if part.data == "argument"]
    by = [words(child) for part in rest if part.data == "by" for child in part.children[1:]]
    compared = rest[-1] if len(rest) > 1 and rest[-2].data == "compare" else None
    return Call(tree, str(name.children[0]), arguments, by, compared)


class Pipeline:
    """What the stages so far have made of a query.

    Attributes:
        where: which spans are left.
        by: fields by which the spans of a trace are grouped, under the words for them.
        metric: what is made of spans over time, once a stage says so.
        then: what is done to its series.
    """

    def __init__(
        self, source: Source, where: Predicate, read_sets: Callable[[Words], Predicate], *, serves_metrics: bool
    ) -> None:
        self.where = where
        self.by: dict[str, Field] = {}
        self.metric: Metric | Contrast | None = None
        self.then: list[Ranked | Kept] = []
        self._source = source
        self._read_sets = read_sets
        self._serves_metrics = serves_metrics
        self._stages: Mapping[str, Callable[[Call], None]] = {
            **dict.fromkeys(("count", "avg", "min", "max", "sum"), self._measure),
            **dict.fromkeys(METRICS, self._make_metric),
            "compare": self._contrast,
            **dict.fromkeys(RANKS, self._rank),
            "by": self._group,
            "coalesce": self._coalesce,
            "select": self._select,
        }

    def filter(self, stage: Words, predicate: Predicate) -> None:
        """Keep the spans that fit as well. Raises OttlError behind a metric."""
        if self.metric is not None:
            raise self._source.error(stage, ONLY_NARROWED)
        self.where = AllOf((self.where, predicate))

    def call(self, call: Call) -> None:
        """Do what a stage says. Raises OttlError for what it cannot, or is not served."""
        if self.metric is not None and call.function not in RANKS:
            raise self._source.error(call.tree, ONLY_NARROWED)
        if call.function not in self._stages:
            raise self._source.error(call.tree, f"{call.function}(...) is not served here; {_SERVED}")
        if call.by and call.function not in METRICS:
            raise self._source.error(call.by[0], "only metrics are followed by by (...); elsewhere by is a stage of its own")
        self._stages[call.function](call)

    def _measure(self, call: Call) -> None:
        self._source.count_condition(call.tree)
        takes_number = call.function != "count"
        if len(call.arguments) != takes_number or (takes_number and call.arguments[0].data == "set"):
            raise self._source.error(call.tree, f"{call.function}(...) is not served here; {_SERVED}")
        if call.compared is None:
            example = "..." if takes_number else ""
            raise self._source.error(
                call.tree, f"{call.function}() is compared with a number, as in {call.function}({example}) > 2"
            )
        compare, compared = _comparison(call)
        operator = _operator(self._source, compare)
        measured = span_number(self._source, call.arguments[0]) if takes_number else None
        bound, _ = _number(self._source, compared)
        measure = cast("Literal['count', 'avg', 'min', 'max', 'sum']", call.function)
        self.where = AllOf((self.where, Measured(self.where, measure, measured, operator, bound, tuple(self.by.values()))))

    def _group(self, call: Call) -> None:
        self._alone(call, "as in by(resource.service.name)")
        if not call.arguments:
            raise self._source.error(call.tree, "by(...) needs fields, as in by(resource.service.name)")
        for field in call.arguments:
            self.by |= self._groupable(field)

    def _coalesce(self, call: Call) -> None:
        self._alone(call, "as in coalesce()")
        if call.arguments:
            raise self._source.error(call.arguments[0], "coalesce() has no arguments")
        self.by = {}

    def _select(self, call: Call) -> None:
        self._alone(call, "as in select(span.http.route)")
        if not call.arguments or any(argument.data != "field" for argument in call.arguments):
            raise self._source.error(call.tree, "select(...) needs fields, as in select(span.http.route)")
        for field in call.arguments:
            subject = self._source.subject(field)
            self._source.show(field, subject)
            if subject.place is not None and subject.place not in self._source.places:
                self._source.places.append(subject.place)

    def _alone(self, call: Call, example: str) -> None:
        if call.compared is not None:
            raise self._source.error(call.compared, f"{call.function}(...) is compared with nothing, {example}")

    def _groupable(self, field: Words) -> dict[str, Field]:
        subject = self._source.subject(field) if field.data == "field" else None
        if subject is None or subject.field is None or subject.of != "span" or not is_groupable(subject.field):
            raise self._source.error(
                field, "spans are grouped by their own names, kinds, statuses and attributes, or their resources'"
            )
        return {str(field.children[0]): subject.field}

    def _label(self, field: Words) -> Label:
        subject = self._source.subject(field)
        match subject.field, subject.of:
            case "name" | "service", "root":
                return OfRoot(subject.field)
            case found, "span" if found is not None and is_label(found):
                return found
        raise self._source.error(
            field, "series are told apart by names, kinds, statuses, ids, durations and attributes, and by their roots"
        )

    def _contrast(self, call: Call) -> None:
        self._check_metrics(call)
        self._alone(call, "as in compare({ status = error })")
        chosen, *numbers = call.arguments or [call.tree]
        if chosen.data != "set" or len(numbers) not in (0, 1, 3):
            raise self._source.error(call.tree, "compare needs spans in braces, as in compare({ status = error }, 10)")
        values = self._whole(numbers[0], 1, _MOST_VALUES) if numbers else _USUAL_VALUES
        start, end = (self._whole(number, 0, _LATEST) for number in numbers[1:]) if len(numbers) == 3 else (None, None)
        self.metric = Contrast(self._read_sets(chosen), values, start, end)

    def _whole(self, argument: Words, least: int, most: int) -> int:
        constant = constant_of(self._source, argument)
        if constant is None or not isinstance(constant.value, int) or not least <= constant.value <= most:
            raise self._source.error(argument, f"expected a whole number from {least} to {most}")
        return constant.value

    def _check_metrics(self, call: Call) -> None:
        if not self._serves_metrics:
            raise self._source.error(call.tree, f"{call.function}() makes metrics, which are asked for elsewhere than traces")

    def _make_metric(self, call: Call) -> None:
        self._check_metrics(call)
        if self.by:
            raise self._source.error(call.tree, f"by (...) stands behind a metric, as in {METRICS[call.function]} by (name)")
        by = {str(words_of_field.children[0]): self._label(words_of_field) for words_of_field in call.by}
        takes_field = call.function not in ("rate", "count_over_time")
        quantiles = call.arguments[1:] if call.function == "quantile_over_time" else []
        if len(call.arguments) - len(quantiles) != takes_field or (call.function == "quantile_over_time" and not quantiles):
            raise self._source.error(call.tree, f"{call.function} has other arguments, as in {METRICS[call.function]}")
        field: Field | None = None
        if takes_field:
            if call.arguments[0].data != "field":
                raise self._source.error(call.arguments[0], "expected duration or an attribute of spans or resources")
            field = field_number(self._source, call.arguments[0])
        self.metric = Metric(call.function, field, tuple(map(self._quantile, quantiles)), by)
        self._keep(call)

    def _quantile(self, argument: Words) -> float:
        try:
            # A number that begins with its point looks like an attribute.
            quantile = float(str(argument.children[-1]))
        except ValueError:
            quantile = -1
        if not 0 <= quantile <= 1:
            raise self._source.error(argument, "expected a number from 0 to 1")
        return quantile

    def _rank(self, call: Call) -> None:
        if self.metric is None:
            raise self._source.error(call.tree, f"{call.function}(...) stands behind a metric, as in {{}} | rate() | topk(10)")
        self.then += read_rank(self._source, call)

    def _keep(self, call: Call) -> None:
        if call.compared is not None:
            self.then.append(read_kept(self._source, *_comparison(call)))


def read_rank(source: Source, call: Call) -> list[Ranked | Kept]:
    """What topk or bottomk does to series, and what a comparison behind it does then. Raises OttlError."""
    constant = constant_of(source, call.arguments[0]) if len(call.arguments) == 1 else None
    if constant is None or not isinstance(constant.value, int) or not 1 <= constant.value <= _MOST_RANKED:
        raise source.error(call.tree, f"{call.function} needs a whole number from 1 to {_MOST_RANKED}")
    ranked = Ranked(cast("Literal['topk', 'bottomk']", call.function), constant.value)
    return [ranked] if call.compared is None else [ranked, read_kept(source, *_comparison(call))]


def read_kept(source: Source, compare: Words, compared: Words) -> Kept:
    """Which numbers of series a comparison keeps. Raises OttlError."""
    operator = _operator(source, compare)
    value, is_duration = _number(source, compared)
    # The numbers of metrics of durations are seconds.
    return Kept(operator, value / 1e9 if is_duration else float(value))


def _comparison(call: Call) -> tuple[Words, Words]:
    """The words of a comparison behind a call that has one."""
    return words(call.tree.children[-2]), words(call.tree.children[-1])


def _operator(source: Source, compare: Words) -> Operator:
    operator = str(compare.children[0])
    if operator in ("=~", "!~"):
        raise source.error(compare, f"{operator} compares texts")
    return cast("Operator", operator)


def _number(source: Source, compared: Words) -> tuple[int | float, bool]:
    """A number, and whether it is a duration, in nanoseconds."""
    constant = constant_of(source, compared)
    if constant is None or isinstance(constant.value, str):
        raise source.error(compared, "expected a number or a duration")
    return constant.value, constant.is_duration
