"""The processor `service_policy`: exact decisions, and a plain reckoning span by span over protobuf messages."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from collector.control.policies import Policies
from collector.control.tracing_configs import TracingConfig
from collector.processors.base import Processed
from collector.processors.probability import threshold
from collector.processors.service_policy import ServicePolicy
from config.service_policy import ServicePolicyProcessor
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.requests import key_values, spans_of
from tests.support.tracing_configs import config, matches

M = 1 << 56
LOW, HIGH = "0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736"  # randomness 0.2848 and 0.8069 of M


def processor(*configs: TracingConfig, **said: Any) -> ServicePolicy:
    policies = Policies(configs)
    return ServicePolicy(ServicePolicyProcessor.model_validate(said), lambda: policies)


def span(name: str = "s", trace_id: str = LOW, trace_state: str = "", **attributes: Any) -> Span:
    attributes = {key.replace("_", "."): value for key, value in attributes.items()}
    return Span(
        trace_id=bytes.fromhex(trace_id),
        span_id=b"spanspan",
        name=name,
        trace_state=trace_state,
        attributes=key_values(attributes),
    )


def batch(*services: tuple[str | None, list[Span]], workspace: str = "shop") -> SpanBatch:
    request = ExportTraceServiceRequest()
    for service, spans in services:
        resource_spans = request.resource_spans.add()
        if service is not None:
            resource_spans.resource.attributes.extend(key_values({"service.name": service}))
        resource_spans.scope_spans.add().spans.extend(spans)
    return decode(request.SerializeToString(), workspace).batch


def left(processed: Processed) -> list[Span]:
    return list(spans_of(ExportTraceServiceRequest.FromString(encode_request(processed.batch))))


def names(processed: Processed) -> list[str]:
    return [each.name for each in left(processed)]


def test_spans_of_a_disabled_service_are_dropped_and_counted_by_its_config() -> None:
    off = config("cart", enabled=False)
    processed = processor(off).process(batch(("cart", [span("a"), span("b")]), ("shop", [span("c")])))
    assert names(processed) == ["c"]
    assert processed.dropped is not None
    assert len(processed.dropped) == 2
    assert processed.dropped_by == {(str(off.id), "disabled"): 2}


def test_what_no_config_speaks_of_gets_the_default() -> None:
    spans = batch(("cart", [span("a")]), ("shop", [span("b")]), (None, [span("c")]))
    assert processor().process(spans).batch is spans
    off = processor(config("cart"), default={"enabled": False}).process(spans)
    assert (names(off), off.dropped_by) == (["a"], {("default", "disabled"): 2})
    half = processor(config("cart"), default={"sampling_rate": 0.5}).process(spans)
    assert (names(half), half.dropped_by) == (["a"], {("default", "sampled"): 2})


def test_a_batch_of_which_nothing_is_said_is_given_on_as_it_is() -> None:
    spans = batch(("cart", [span("a", trace_state="ot=th:8", url_path="/x")]))
    assert processor(config("cart", excludedPaths=("/y",)), config("*", samplingRate=0.1)).process(spans).batch is spans


@pytest.mark.parametrize(
    ("attributes", "excluded"),
    [
        ({"name": "/healthz"}, True),
        ({"name": "GET /healthz"}, False),
        ({"url_path": "/healthz"}, True),
        ({"url_path": "/healthz/"}, False),
        ({"http_route": "/static/{file}"}, True),
        ({"http_target": "/static/a/b?x=/"}, True),
        ({"http_target": "/healthz?verbose"}, True),
        ({"url_path": "/healthz?verbose"}, False),
        ({"url_full": "/healthz"}, False),
        ({"url_path": 7}, False),
        ({"url_path": "/", "http_route": "/healthz"}, True),
        ({"url_path": b"/healthz"}, False),
    ],
)
def test_paths_and_names_are_excluded(attributes: dict[str, Any], excluded: bool) -> None:
    said = config("cart", excludedPaths=("/healthz", "/static/*"))
    processed = processor(said).process(batch(("cart", [span(**attributes)]), ("shop", [span(**attributes)])))
    assert len(processed.batch) == (1 if excluded else 2)
    assert processed.dropped_by == ({(str(said.id), "excluded"): 1} if excluded else {})


@pytest.mark.parametrize(
    ("rate", "low", "high", "text"),
    [(0.75, True, True, "4"), (0.5, False, True, "8"), (0.25, False, True, "c"), (0.1, False, False, ""), (0, False, False, "")],
)
def test_a_rate_keeps_what_the_specification_keeps_and_says_so(rate: float, low: bool, high: bool, text: str) -> None:
    spans = batch(("cart", [span("low", LOW), span("high", HIGH)]))
    processed = processor(config("cart", samplingRate=rate)).process(spans)
    assert names(processed) == ["low"] * low + ["high"] * high
    assert {each.trace_state for each in left(processed)} <= {f"ot=th:{text}"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "ot=th:c"),
        ("vendor=x", "ot=th:c,vendor=x"),
        ("ot=th:8", "ot=th:c"),
        ("ot=th:cd", "ot=th:cd"),
        ("ot=th:f", ""),
        ("ot=rv:ffffffffffffff;th:f", "ot=th:f;rv:ffffffffffffff"),
        ("ot=th:zz", "ot=th:zz"),
    ],
)
def test_a_threshold_is_raised_never_lowered_and_erased_where_it_cannot_be_true(before: str, after: str) -> None:
    processed = processor(config("cart", samplingRate=0.25)).process(batch(("cart", [span("s", HIGH, before)])))
    assert [each.trace_state for each in left(processed)] == [after]
    assert processed.failures == ({"threshold": 1} if before == "ot=th:f" else {})


def test_a_trace_stays_whole_between_services_with_equal_rates() -> None:
    random = Random(7)
    ids = [random.randbytes(16).hex() for _ in range(400)]
    both = processor(config("cart", samplingRate=0.3), config("pay*", samplingRate=0.3))
    spans = [[span(each, each) for each in ids] for _ in range(2)]
    kept = names(both.process(batch(("cart", spans[0]), ("payment", spans[1]))))
    assert kept[: len(kept) // 2] == kept[len(kept) // 2 :]
    assert 80 < len(kept) // 2 < 160


def test_rates_are_left_to_the_services_where_that_is_wanted() -> None:
    spans = batch(("cart", [span(url_path="/"), span(url_path="/healthz")]))
    said = config("cart", samplingRate=0, excludedPaths=("/healthz",))
    processed = processor(said, apply_sampling_rates=False).process(spans)
    assert (len(processed.batch), processed.dropped_by) == (1, {(str(said.id), "excluded"): 1})


def test_workspaces_have_configs_of_their_own() -> None:
    spans = concatenate(
        [batch(("cart", [span("mine")]), workspace="mine"), batch(("cart", [span("theirs")]), workspace="theirs")]
    )
    processed = processor(config("cart", workspace="theirs", enabled=False), config("*", workspace="mine")).process(spans)
    assert names(processed) == ["mine"]


def test_the_only_workspace_of_a_batch_need_not_be_numbered() -> None:
    spans = batch(("cart", [span()]))
    resources = spans.resources.copy()
    resources["workspace"] = 5
    assert names(processor(config("cart", enabled=False)).process(replace(spans, resources=resources))) == []


def test_later_policies_hold_for_later_batches() -> None:
    current = Policies()
    policy = ServicePolicy(ServicePolicyProcessor(), lambda: current)
    spans = batch(("cart", [span()]))
    assert len(policy.process(spans).batch) == 1
    current = Policies([config("cart", enabled=False)])
    assert len(policy.process(spans).batch) == 0


SERVICES = ["cart", "car", "payment", "", 7]
PATHS = ["/healthz", "/static/a", "/", "/static/b?x"]
GLOBS = ["/healthz", "/static/*", "*", "/?"]
ATTRIBUTES = st.dictionaries(st.sampled_from(["url.path", "http.route", "http.target"]), st.sampled_from([*PATHS, 3]), max_size=2)
STATES = st.sampled_from(["", "ot=th:8", "ot=th:f", "ot=rv:80000000000000", "a=b", "ot=rv:ff000000000000;th:e", "=", "ot=th:0"])
CONFIGS = st.lists(
    st.builds(
        config,
        st.sampled_from(["cart", "c*", "*", "ca?", "pay*", "payment"]),
        st.integers(0, 9),
        st.sampled_from(["shop", "other"]),
        enabled=st.booleans() | st.just(True),
        samplingRate=st.sampled_from([1.0, 0.5, 0.25, 0.0, 1.0]),
        excludedPaths=st.lists(st.sampled_from(GLOBS), max_size=2).map(tuple),
    ),
    unique_by=lambda each: (each.workspace, each.settings.service),
    max_size=5,
)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    number = 0
    for service in draw(st.lists(st.sampled_from(SERVICES) | st.none(), min_size=1, max_size=4)):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(key_values({} if service is None else {"service.name": service}))
        spans = resource_spans.scope_spans.add().spans
        for _ in range(draw(st.integers(1, 3))):
            number += 1
            spans.add(
                trace_id=draw(st.sampled_from([bytes.fromhex(LOW), bytes.fromhex(HIGH), b"\x01" * 16])),
                span_id=number.to_bytes(8, "big"),
                name=draw(st.sampled_from(["/healthz", "GET /"])),
                trace_state=draw(STATES),
                attributes=key_values(draw(ATTRIBUTES)),
            )
    return request


def speaking(configs: list[TracingConfig], service: str) -> TracingConfig | None:
    own = [each for each in configs if each.workspace == "shop"]
    exact = [each for each in own if each.settings.service == service]
    globs = [each for each in own if each.settings.is_glob and matches(each.settings.service, service)]
    return exact[0] if exact else max(globs, key=lambda each: (len(each.settings.service), each.created_at), default=None)


def reckoned(resource_spans: ResourceSpans, each: Span, configs: list[TracingConfig]) -> tuple[str, str, str]:
    """What says what becomes of a span, why it is dropped (empty if it is not), and its trace state afterwards."""
    values = {entry.key: entry.value for entry in resource_spans.resource.attributes}
    said = speaking(configs, values["service.name"].string_value if "service.name" in values else "")
    if said is None:
        return "default", "", each.trace_state
    rule = str(said.id)
    if not said.settings.enabled:
        return rule, "disabled", ""
    texts = [each.name]
    for entry in each.attributes:
        if entry.value.WhichOneof("value") == "string_value":
            text = entry.value.string_value
            texts.append(text.split("?")[0] if entry.key == "http.target" else text)
    if any(matches(glob, text) for glob in said.settings.excluded_paths for text in texts):
        return rule, "excluded", ""
    rate = said.settings.sampling_rate
    if rate == 1:
        return rule, "", each.trace_state
    own = dict(entry.split(":") for entry in each.trace_state[3:].split(";")) if each.trace_state.startswith("ot=") else {}
    randomness = int(own["rv"], 16) if "rv" in own else int.from_bytes(each.trace_id[9:], "big")
    if not rate or randomness < threshold(rate, 4):
        return rule, "sampled", ""
    if each.trace_state == "=":
        return rule, "", each.trace_state
    arrived = int(own["th"].ljust(14, "0"), 16) if "th" in own else 0
    entries = [] if arrived > randomness else [f"th:{max(arrived, threshold(rate, 4)):014x}".rstrip("0")]
    entries += [f"rv:{own['rv']}"] if "rv" in own else []
    others = [each.trace_state] if each.trace_state == "a=b" else []
    return rule, "", ",".join([*([f"ot={';'.join(entries)}"] if entries else []), *others])


@settings(max_examples=300)
@given(requests(), CONFIGS)
def test_a_plain_reckoning_says_the_same_of_every_span(request: ExportTraceServiceRequest, configs: list[TracingConfig]) -> None:
    spans = decode(request.SerializeToString(), "shop").batch
    processed = processor(*configs).process(spans)
    expected, dropped = [], Counter[tuple[str, str]]()
    for resource_spans in request.resource_spans:
        for each in spans_of(ExportTraceServiceRequest(resource_spans=[resource_spans])):
            rule, why, trace_state = reckoned(resource_spans, each, configs)
            if why:
                dropped[rule, why] += 1
            else:
                expected.append((each.span_id, trace_state))
    assert sorted((each.span_id, each.trace_state) for each in left(processed)) == expected
    assert processed.dropped_by == dropped
    assert (0 if processed.dropped is None else len(processed.dropped)) == dropped.total()
    assert len(processed.batch) + dropped.total() == len(spans)
