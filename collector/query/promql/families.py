"""The metrics that can be asked for, and from which columns of the tables of derived rows each of them is made.

They have the names and labels of the Collector's connectors `spanmetrics` and `servicegraph`, as `/metrics` has, and those of
spans under the names of Tempo's generator as well, for which Grafana's pages about services ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from collector.query.rollups import CALLS, RED, Rollup
from collector.query.store import KINDS, STATUS_CODES

LE: Final = "le"
"""The label of a histogram's bucket: its upper bound."""
SECOND: Final = 10**9
MILLISECOND: Final = 10**6


@dataclass(frozen=True, slots=True)
class Metric:
    """Series of one name.

    Attributes:
        family: what its metadata are told under.
        kind: of the family.
        rollups: where it is read.
        value: of a row, in SQL; a sketch where `is_bucket`.
        unit: what a value is divided by, or the bounds of buckets: nanoseconds, or 1.
        labels: name → expression of its text in SQL; the empty text is no label.
        has_dimensions: whether further labels are in the column `Dimensions`.
        is_bucket: whether it has the label `le`.
    """

    name: str
    family: str
    kind: Literal["counter", "histogram"]
    help: str
    rollups: Sequence[Rollup]
    value: str
    unit: int
    labels: Mapping[str, str]
    has_dimensions: bool
    is_bucket: bool = False


def _spelled(column: str, prefix: str, names: Sequence[str]) -> str:
    """A kind or status as OTLP spells it."""
    spelled = ", ".join(f"'{prefix}_{name.upper()}'" for name in names)
    return f"transform({column}, {list(names)}, [{spelled}], {column})"


_KIND: Final = _spelled("toString(SpanKind)", "SPAN_KIND", KINDS)
_STATUS: Final = _spelled("toString(StatusCode)", "STATUS_CODE", STATUS_CODES)
_OF_SPANS: Final = {"span_name": "SpanName", "span_kind": _KIND, "status_code": _STATUS}
_OF_CALLS: Final = {"client": "Client", "server": "Server", "connection_type": "ConnectionType"}


def _spans(service: str, calls: str, durations: str, unit: int) -> Iterator[Metric]:
    labels = {service: "ServiceName", **_OF_SPANS}
    yield Metric(f"{calls}_total", calls, "counter", "Spans.", RED, "rollup.Spans", 1, labels, has_dimensions=True)
    yield from _histogram(durations, "Durations of spans.", RED, "Duration", "rollup.Spans", unit, labels, has_dimensions=True)


def _calls() -> Iterator[Metric]:
    prefix = "traces_service_graph_request"
    for suffix, help_text, column in (("", "Calls between services.", "Calls"), ("_failed", "Calls that failed.", "FailedCalls")):
        name = f"{prefix}{suffix}"
        yield Metric(f"{name}_total", name, "counter", help_text, CALLS, f"rollup.{column}", 1, _OF_CALLS, has_dimensions=False)
    for side in ("server", "client"):
        column = f"{side.capitalize()}Duration"
        count = f"arraySum(mapValues(rollup.{column}Sketch))"
        help_text = f"Durations of calls as the {side} saw them."
        yield from _histogram(
            f"{prefix}_{side}_seconds", help_text, CALLS, column, count, SECOND, _OF_CALLS, has_dimensions=False
        )


def _histogram(
    name: str,
    help_text: str,
    rollups: Sequence[Rollup],
    column: str,
    count: str,
    unit: int,
    labels: Mapping[str, str],
    *,
    has_dimensions: bool,
) -> Iterator[Metric]:
    for suffix, value, divisor in (
        ("bucket", f"rollup.{column}Sketch", unit),
        ("sum", f"rollup.{column}Sum", unit),
        ("count", count, 1),
    ):
        yield Metric(
            f"{name}_{suffix}",
            name,
            "histogram",
            help_text,
            rollups,
            value,
            divisor,
            labels,
            has_dimensions=has_dimensions,
            is_bucket=suffix == "bucket",
        )


METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metrics in (
        _spans("service_name", "traces_span_metrics_calls", "traces_span_metrics_duration_milliseconds", MILLISECOND),
        _spans("service", "traces_spanmetrics_calls", "traces_spanmetrics_latency", SECOND),
        _calls(),
    )
    for metric in metrics
}
"""By their names."""
