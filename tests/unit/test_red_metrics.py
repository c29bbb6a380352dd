"""What is counted of spans, against the same counted one by one in plain Python."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.base import Processed
from collector.processors.red_metrics import RedMetrics
from collector.series_bound import OVERFLOW
from collector.sketch import RELATIVE_ERROR, buckets_of, quantile
from collector.span_metrics import SpanMeasures
from config.red_metrics import RedMetricsProcessor
from exporters.base import DerivedRows
from proto.join import concatenate
from proto.native_columns import NumberMaps, Strings
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.batches import numbered
from tests.support.requests import key_values
from tests.support.rows import Row, rows_of
from tests.support.traces import each_trace, read_trace

MINUTE_NS = 60_000_000_000
LAST_MINUTE_S = 4_294_967_220
BOUNDS_MS = (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1_000, 1_400, 2_000, 5_000, 10_000, 15_000)
WEIGHTS = {"": 1.0, "ot=th:8": 2.0, "ot=th:c": 4.0}


@dataclass
class Tally:
    """What one key comes to."""

    spans: float = 0.0
    duration_sum: float = 0.0
    shortest: int = 2**64
    longest: int = 0
    sketch: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    buckets: list[float] = field(default_factory=lambda: [0.0] * (len(BOUNDS_MS) + 1))

    def add(self, duration: int, weight: float) -> None:
        self.spans += weight
        self.duration_sum += duration * weight
        self.shortest, self.longest = min(self.shortest, duration), max(self.longest, duration)
        self.sketch[int(buckets_of(np.array([duration], np.uint64))[0])] += weight
        self.buckets[next((at for at, bound in enumerate(BOUNDS_MS) if duration <= bound * 10**6), len(BOUNDS_MS))] += weight

    @property
    def values(self) -> list[Any]:
        return [self.spans, self.duration_sum, self.shortest, self.longest, *self.sketch.items()]


Key = tuple[str, ...]


def key_of(row: Row, dimensions: Iterable[tuple[str, str | None]] = ()) -> Key:
    """What tells a span apart: its dimensions last, as the JSON object that the table has."""
    held = {}
    for name, default in dimensions:
        found = [dict(reversed(row[attributes])).get(name) for attributes in ("SpanAttributes", "ResourceAttributes")]
        value = next((each for each in (*found, default) if each is not None), None)
        if value is not None:
            held[name] = value
    text = json.dumps(held, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if held else ""
    return (*(row[name] for name in ("Workspace", "ServiceName", "SpanName", "SpanKind", "StatusCode")), text)


def tallied(rows: Iterable[Row], dimensions: Iterable[tuple[str, str | None]] = ()) -> dict[tuple[int, Key], Tally]:
    """Each minute and key."""
    counted: dict[tuple[int, Key], Tally] = defaultdict(Tally)
    for row in rows:
        start = row["StartTimeUnixNano"] or row["Timestamp"]
        minute = min(start // MINUTE_NS * 60, LAST_MINUTE_S)
        counted[minute, key_of(row, dimensions)].add(row["Duration"], WEIGHTS.get(row["TraceState"], 1.0))
    return counted


def stored(rows: DerivedRows) -> dict[tuple[int, Key], Tally]:
    """The same of what a processor made; rows with the same key are added up, as the table does."""
    columns = {column.name: column.values for column in rows.columns}
    texts = []
    for name in ("Workspace", "ServiceName", "SpanName", "SpanKind", "StatusCode", "Dimensions"):
        values = columns[name]
        assert isinstance(values, Strings)
        texts.append([values.texts[code] for code in values.codes])
    sketches = columns["DurationSketch"]
    assert isinstance(sketches, NumberMaps)
    ends = np.cumsum(sketches.counts)
    found: dict[tuple[int, Key], Tally] = defaultdict(Tally)
    for row, key in enumerate(zip(*texts, strict=True)):
        tally = found[int(columns["Minute"][row]), key]
        tally.spans += columns["Spans"][row]
        tally.duration_sum += columns["DurationSum"][row]
        tally.shortest = min(tally.shortest, int(columns["DurationMin"][row]))
        tally.longest = max(tally.longest, int(columns["DurationMax"][row]))
        entries = slice(ends[row] - sketches.counts[row], ends[row])
        for bucket, weight in zip(sketches.keys[entries].tolist(), sketches.values[entries].tolist(), strict=True):
            tally.sketch[bucket] += weight
    return found


def assert_equal(found: dict[tuple[int, Key], Tally], expected: dict[tuple[int, Key], Tally]) -> None:
    assert set(found) == set(expected)
    for key, tally in expected.items():
        assert [found[key].shortest, found[key].longest] == [tally.shortest, tally.longest]
        assert [found[key].spans, found[key].duration_sum] == pytest.approx([tally.spans, tally.duration_sum])
        assert found[key].sketch == pytest.approx(tally.sketch)


def counted(batch: SpanBatch, **keys: Any) -> Processed:
    return RedMetrics(RedMetricsProcessor.model_validate(keys)).process(batch)


def rows_and_measures(processed: Processed) -> tuple[DerivedRows, SpanMeasures]:
    (rows,) = processed.derived
    assert processed.measured is not None
    return rows, processed.measured


@pytest.mark.parametrize("name", each_trace())
def test_real_traces_are_counted_as_one_by_one(name: str) -> None:
    trace = read_trace(name)
    batch = decode(trace.body).batch
    if not len(batch):  # all of its spans have impossible ids
        assert counted(batch).derived == ()
        return
    rows, measures = rows_and_measures(counted(batch))
    assert measures.calls.sum() == len(batch) == measures.buckets.sum()
    if len(batch) <= 3_000:
        assert_equal(stored(rows), tallied(rows_of(trace.message)))


texts = st.sampled_from(["", "a", "b", "ü"])
attributes = st.dictionaries(
    st.sampled_from(["service.name", "http.route", "code"]), st.one_of(texts, st.integers(0, 2), st.booleans()), max_size=3
)
starts = st.one_of(st.sampled_from([0, 1, MINUTE_NS, 2**64 - 1, 4_294_967_295 * 10**9]), st.integers(0, 3 * MINUTE_NS))
durations = st.one_of(st.sampled_from([-1, 0, 1, 2_000_000, 2_000_001, 15 * 10**9, 16 * 10**9]), st.integers(0, 10**10))


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for of_resource in draw(st.lists(attributes, min_size=1, max_size=3)):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(key_values(of_resource))
        spans = resource_spans.scope_spans.add().spans
        for _ in range(draw(st.integers(0, 4))):
            start = draw(starts)
            span = spans.add(
                trace_id=b"0123456789abcdef",
                span_id=b"01234567",
                name=draw(texts),
                kind=draw(st.sampled_from([0, 2, 5, 17, -1])),  # type: ignore[arg-type]  # numbers without a name, too
                start_time_unix_nano=start,
                end_time_unix_nano=min(max(start + draw(durations), 0), 2**64 - 1),
                trace_state=draw(st.sampled_from(list(WEIGHTS))),
                attributes=key_values(draw(attributes)),
            )
            span.status.code = draw(st.sampled_from([0, 1, 2, 9]))  # type: ignore[assignment]  # as above
    return request


DIMENSIONS = st.lists(
    st.tuples(st.sampled_from(["http.route", "code"]), st.sampled_from([None, "", "a", "none"])),
    max_size=2,
    unique_by=lambda pair: pair[0],
)


@given(st.lists(st.tuples(requests(), st.sampled_from(["default", "other"])), min_size=1, max_size=3), DIMENSIONS)
@settings(deadline=None)
def test_spans_are_counted_as_one_by_one(
    drawn: list[tuple[ExportTraceServiceRequest, str]], dimensions: list[tuple[str, str | None]]
) -> None:
    batch = concatenate([decode(request.SerializeToString(), workspace).batch for request, workspace in drawn])
    configured = [{"name": name, **({} if default is None else {"default": default})} for name, default in dimensions]
    processed = counted(batch, dimensions=configured)
    assert processed.batch is batch
    if not len(batch):
        assert (processed.derived, processed.measured) == ((), None)
        return
    expected = tallied((row for request, workspace in drawn for row in rows_of(request, workspace)), dimensions)
    rows, measures = rows_and_measures(processed)
    assert_equal(stored(rows), expected)
    series: dict[Key, Tally] = defaultdict(Tally)
    for (_, key), tally in expected.items():
        series[key[:5]].spans += tally.spans
        series[key[:5]].duration_sum += tally.duration_sum
        series[key[:5]].buckets = [a + b for a, b in zip(series[key[:5]].buckets, tally.buckets, strict=True)]
    measured: dict[Key, Tally] = defaultdict(Tally)
    for row, labels in enumerate(measures.labels):
        assert len(labels) == 5 + len(dimensions)
        measured[labels[:5]].spans += measures.calls[row]
        measured[labels[:5]].duration_sum += measures.durations_ns[row]
        measured[labels[:5]].buckets = (np.array(measured[labels[:5]].buckets) + measures.buckets[row]).tolist()
    assert set(measured) == set(series)
    for key, tally in series.items():
        assert measured[key].buckets == pytest.approx(tally.buckets)
        assert [measured[key].spans, measured[key].duration_sum] == pytest.approx([tally.spans, tally.duration_sum])


def test_beyond_the_most_series_the_largest_are_told_apart_and_every_span_is_counted() -> None:
    names = ["/"] * 50 + [f"/{number}" for number in range(40)]
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    spans = resource_spans.scope_spans.add().spans
    for name in names:
        spans.add(trace_id=b"0123456789abcdef", span_id=b"01234567", name=name, kind=2)
    rows, measures = rows_and_measures(counted(decode(request.SerializeToString()).batch, max_series=10))
    counts = {labels[2]: float(calls) for labels, calls in zip(measures.labels, measures.calls, strict=True)}
    assert len(counts) == 11
    assert (counts["/"], counts[OVERFLOW], sum(counts.values())) == (50, 31, 90)
    assert {key[:4] for _, key in stored(rows) if key[2] == OVERFLOW} == {("default", "shop", OVERFLOW, "Server")}


def counts_by_name(processor: RedMetrics, names: list[str], workspace: str = "default") -> dict[tuple[str, ...], float]:
    """What a processor counts of a batch with spans of these names: (workspace, operation) → spans."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    for name in names:
        resource_spans.scope_spans.add().spans.add(trace_id=b"0123456789abcdef", span_id=b"01234567", name=name)
    batch = replace(decode(request.SerializeToString()).batch, workspaces=(workspace,))
    rows, measures = rows_and_measures(processor.process(batch))
    assert len(rows) == len(measures.labels)
    return {(labels[0], labels[2]): calls for labels, calls in zip(measures.labels, measures.calls.tolist(), strict=True)}


def test_series_are_bounded_over_all_batches_and_no_workspace_takes_the_place_of_others() -> None:
    now_s = 0.0
    settings = RedMetricsProcessor.model_validate({"max_series": 4, "series_expiration": "1h"})
    processor = RedMetrics(settings, lambda: now_s)
    assert counts_by_name(processor, ["/a", "/b", "/c"]) == {("default", "/a"): 1, ("default", "/b"): 1, ("default", "/c"): 1}
    assert counts_by_name(processor, ["/1", "/2", "/2", "/a"]) == {
        ("default", "/2"): 2,
        ("default", "/a"): 1,
        ("default", OVERFLOW): 1,
    }
    assert counts_by_name(processor, ["/x", "/y", "/z"], "team") == {("team", "/x"): 1, ("team", "/y"): 1, ("team", OVERFLOW): 1}
    now_s += 3601
    assert counts_by_name(processor, ["/1"]) == {("default", "/1"): 1}


def test_a_count_that_a_batch_has_for_its_spans_goes_before_their_trace_states() -> None:
    batch = replace(numbered(0, 3), adjusted_count=np.array([2.5, np.nan, 10.0]))
    _, measures = rows_and_measures(counted(batch))
    assert measures.calls.tolist() == [2.5, 1, 10]


def test_quantiles_of_the_rows_are_those_of_the_durations() -> None:
    chance = np.random.default_rng(1)
    lengths = np.exp(chance.normal(17, 2, 5_000)).astype(np.int64)
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for length in lengths.tolist():
        spans.add(
            trace_id=b"0123456789abcdef", span_id=b"01234567", start_time_unix_nano=10**18, end_time_unix_nano=10**18 + length
        )
    rows, _ = rows_and_measures(counted(decode(request.SerializeToString()).batch))
    (sketch,) = (column.values for column in rows.columns if column.name == "DurationSketch")
    assert isinstance(sketch, NumberMaps)
    for q in (0.5, 0.95, 0.99):
        found = quantile(sketch.keys, sketch.values, q)
        assert found is not None
        assert math.isclose(found, float(np.quantile(lengths, q, method="inverted_cdf")), rel_tol=1.01 * RELATIVE_ERROR)
