"""What the processor `adaptive_sampling` counts, compared with a look at each span."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.adaptive_sampling import AdaptiveSampling
from config.remote_sampling import AdaptiveSamplingProcessor
from exporters.base import DerivedRows
from proto.native_columns import Strings
from proto.otlp_decode import decode
from tests.support.requests import EPOCH, key_values

TAGS = st.fixed_dictionaries(
    {},
    optional={
        "sampler.type": st.sampled_from(["probabilistic", "lowerbound", "const", 3]),
        "sampler.param": st.sampled_from([0.5, 0.25, 1, "0.5", True]),
    },
)


def counted(rows: DerivedRows) -> Counter[tuple[str, ...]]:
    """Workspace, service, operation, bucket, probability → traces, with an entry for 0."""
    columns = {column.name: column.values for column in rows.columns}
    texts = {name: values for name, values in columns.items() if isinstance(values, Strings)}
    found: Counter[tuple[str, ...]] = Counter()
    for row in range(len(rows)):
        names = [texts[name].texts[texts[name].codes[row]] for name in ("Workspace", "ServiceName", "SpanName", "Probability")]
        key = (*names, str(int(columns["Bucket"][row])))  # type: ignore[index,arg-type]  # a column of numbers
        assert key not in found
        found[key] = int(columns["Traces"][row])  # type: ignore[index,arg-type]  # likewise
    return found


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request, number = ExportTraceServiceRequest(), 0
    for service in draw(st.lists(st.sampled_from(["cart", "payment", None]), min_size=1, max_size=3)):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(key_values({} if service is None else {"service.name": service}))
        spans = resource_spans.scope_spans.add().spans
        for tags in draw(st.lists(TAGS, max_size=5)):
            number += 1
            spans.add(
                trace_id=number.to_bytes(16, "big"),
                span_id=number.to_bytes(8, "big"),
                parent_span_id=draw(st.sampled_from([b"", b"", b"\x01" * 8])),
                name=draw(st.sampled_from(["GET", "PUT"])),
                start_time_unix_nano=EPOCH + draw(st.integers(0, 25)) * 10**9,
                attributes=key_values(tags),
            )
    return request


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(requests())
def test_roots_are_counted_by_what_their_clients_say(request: ExportTraceServiceRequest) -> None:
    batch = decode(request.SerializeToString(), "shop").batch
    processed = AdaptiveSampling(AdaptiveSamplingProcessor()).process(batch)
    expected: Counter[tuple[str, ...]] = Counter()
    for resource_spans in request.resource_spans:
        service = next((entry.value.string_value for entry in resource_spans.resource.attributes), "")
        for span in resource_spans.scope_spans[0].spans:
            tags = {entry.key: getattr(entry.value, str(entry.value.WhichOneof("value"))) for entry in span.attributes}
            if (
                span.parent_span_id
                or tags.get("sampler.type") not in ("probabilistic", "lowerbound")
                or "sampler.param" not in tags
            ):
                continue
            bucket = span.start_time_unix_nano // 10**10 * 10
            key = ("shop", service, span.name, text(tags["sampler.param"]), str(bucket))
            expected[key] += tags["sampler.type"] == "probabilistic"
    assert processed.batch is batch
    assert [dict(counted(rows)) for rows in processed.derived] == ([dict(expected)] if expected else [])
