"""How many spans a span stands for: what trace states say of it, what batches carry of it, and that the table says the same."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.probabilistic_sampler import Sampler
from config.sampling import ProbabilisticSampler
from exporters.clickhouse.schema import column_definitions
from proto.adjusted_count import adjusted_count, adjusted_counts
from proto.join import concatenate
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.batches import numbered
from tests.support.clickhouse import ClickHouse


def with_states(*states: str) -> SpanBatch:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, state in enumerate(states, 1):
        spans.add(trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), trace_state=state)
    return decode(request.SerializeToString()).batch


# The table of thresholds in the specification, with four digits.
@pytest.mark.parametrize(
    ("th", "count"),
    [
        ("0", 1),
        ("4", 4 / 3),
        ("8", 2),
        ("aaab", 3.00005),
        ("c", 4),
        ("e666", 9.99939),
        ("f3333", 19.99992),
        ("fd70a", 99.9977),
        ("ffbe77", 1000.0129),
        ("ffffef39", 999992.4),
        ("08", 1.032258),
        ("ffffffffffffff", 2.0**56),
    ],
)
def test_a_threshold_says_how_many_spans_a_span_stands_for(th: str, count: float) -> None:
    assert adjusted_count(f"ot=th:{th}".encode()) == pytest.approx(count, rel=1e-5)
    assert adjusted_count(f"a=b,\tot=x:y;th:{th};rv:00000000000000 ,c=d".encode()) == pytest.approx(count, rel=1e-5)


@pytest.mark.parametrize(
    "state",
    [
        "",
        "a=b",
        "ot=rv:00000000000000",
        "ot=th:",
        "ot=th:8g",
        "ot=th:C",
        "ot=th:123456789012345",
        "not=th:8",
        "ot=th:8;!",
        "ot=th:8\n",
    ],
)
def test_a_span_without_a_threshold_or_with_a_malformed_one_stands_for_itself(state: str) -> None:
    assert adjusted_count(state.encode()) == 1


def test_spans_of_a_batch_are_told_apart() -> None:
    assert adjusted_counts(numbered(0, 3)).tolist() == [1, 1, 1]
    assert adjusted_counts(with_states("ot=th:c", "", "ot=th:8", "ot=th:c")).tolist() == [4, 1, 2, 4]


def test_what_a_batch_says_goes_before_trace_states_and_stays_with_its_spans() -> None:
    weighed = replace(with_states("ot=th:c", "ot=th:c", "ot=th:c"), adjusted_count=np.array([7.0, np.nan, 9.0]))
    assert adjusted_counts(weighed).tolist() == [7, 4, 9]
    assert adjusted_counts(weighed.select(np.array([2, 0]))).tolist() == [9, 7]
    assert adjusted_counts(weighed.select(np.array([False, True, True]))).tolist() == [4, 9]
    assert adjusted_counts(weighed.select(slice(1))).tolist() == [7]
    joined = concatenate([with_states("ot=th:8", ""), weighed])
    assert adjusted_counts(joined).tolist() == [2, 1, 7, 4, 9]
    assert concatenate([numbered(0), numbered(1)]).adjusted_count is None


def test_a_block_has_the_column_only_where_trace_states_do_not_say_it() -> None:
    assert "AdjustedCount" not in encode(with_states("ot=th:8")).columns
    weighed = replace(with_states("ot=th:8", ""), adjusted_count=np.array([np.nan, 5.0]))
    block = encode(weighed)
    assert block.columns[-1] == "AdjustedCount"
    assert np.frombuffer(block.data[-16:].tobytes(), np.float64).tolist() == [2, 5]


def test_a_sampler_multiplies_what_a_batch_says_by_what_it_takes() -> None:
    ids = np.random.default_rng(1).bytes(16 * 400)
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(400):
        spans.add(trace_id=ids[16 * number : 16 * number + 16], span_id=b"12345678", trace_state="ot=th:8" if number % 2 else "")
    batch = decode(request.SerializeToString()).batch
    own = replace(batch, adjusted_count=np.full(400, 3.0))
    sampler = Sampler(ProbabilisticSampler(mode="equalizing", sampling_percentage=25))
    left = sampler.process(own).batch
    had_threshold = batch.spans["trace_state_length"][np.isin(batch.spans["trace_id_offset"], left.spans["trace_id_offset"])] > 0
    assert len(left) > 20
    assert adjusted_counts(left).tolist() == np.where(had_threshold, 6.0, 12.0).tolist()


ENTRIES = st.sampled_from(
    ["th:8", "th:c", "th:0", "th:fd70a", "rv:00000000000001", "x:y", "x:", "th:", "th:G", ":", "th:123456789abcdef"]
)
MEMBERS = st.one_of(
    st.lists(ENTRIES, max_size=3).map(lambda entries: f"ot={';'.join(entries)}"), st.sampled_from(["a=b", "", "ot", "not=th:8"])
)
SPACES = st.sampled_from(["", " ", "\t", "\n"])
STATES = st.lists(st.tuples(SPACES, MEMBERS, SPACES).map("".join), max_size=3).map(",".join)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(STATES, st.text(alphabet="ot=h:;,8c \t\n-", max_size=20)), min_size=20, max_size=60))
def test_the_table_makes_the_same_of_trace_states(clickhouse: ClickHouse, states: list[str]) -> None:
    expression = (
        column_definitions("otel_traces")["AdjustedCount"].removeprefix("Float64 DEFAULT ").removesuffix(" CODEC(ZSTD(1))")
    )
    values = ", ".join(f"('{json.dumps(state)[1:-1]}')" for state in states)
    answer = clickhouse.execute(f"SELECT {expression} FROM values('TraceState String', {values}) FORMAT TSV").decode()
    assert [float(line) for line in answer.splitlines()] == [adjusted_count(state.encode()) for state in states]
