"""The processor `transform`: what the usual statements do, group by group, and what follows where one cannot be done."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.base import Processed
from collector.processors.transform import Transform
from config.transforming import TransformProcessor
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.ottl_oracle import plain, spans
from tests.support.requests import EPOCH, key_values

SHOP = {"service.name": "shop", "host.name": "h1", "k8s.pod.name": "p"}


def batch_of(*given: dict[str, Any], resource: dict[str, Any] | None = None) -> SpanBatch:
    """Spans of one resource and scope, by their fields; `attributes` as a mapping, and `events` as names with mappings."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values(SHOP if resource is None else resource))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "io.example.http"
    for number, fields in enumerate(given, 1):
        others = {key: value for key, value in fields.items() if key not in ("attributes", "events")}
        times = {"start_time_unix_nano": EPOCH, "end_time_unix_nano": EPOCH + 5_000_000}
        span = scope_spans.spans.add(**{"trace_id": bytes([number]) * 16, "span_id": bytes([number]) * 8, **times, **others})
        span.attributes.extend(key_values(fields.get("attributes", {})))
        for name, attributes in fields.get("events", []):
            span.events.add(name=name, attributes=key_values(attributes))
    return decode(request.SerializeToString()).batch


def transformed(batch: SpanBatch, *statements: Any, **settings: Any) -> Processed:
    return Transform(TransformProcessor.model_validate({"trace_statements": statements, **settings})).process(batch)


def left_of(batch: SpanBatch | None) -> list[Any]:
    """The spans of a batch as messages, each with the messages around it."""
    return [] if batch is None else list(spans(ExportTraceServiceRequest.FromString(encode_request(batch))))


def attributes(owner: Any) -> dict[str, Any]:
    return {entry.key: plain(entry.value) for entry in owner.attributes}


def only(*statements: Any, **fields: Any) -> Any:
    """What becomes of a single span, with what is around it."""
    done = transformed(batch_of(fields), *statements)
    assert done.failures == {}
    (subject,) = left_of(done.batch)
    return subject


def span_attributes(statement: str, **given: Any) -> dict[str, Any]:
    return attributes(only(statement, attributes=given).span)


def test_form_19_a_constant() -> None:
    subject = only('set(resource.attributes["deployment.environment.name"], "staging")')
    assert attributes(subject.resource.resource) == {**SHOP, "deployment.environment.name": "staging"}


def test_form_20_a_copy() -> None:
    copy = 'set(span.attributes["net.peer"], span.attributes["server.address"])'
    for value in ("db", 5, 0.5, True, b"\x00", ["a", 1], {"a": {"b": None}}):
        assert span_attributes(copy, **{"server.address": value}) == {"server.address": value, "net.peer": value}
    # What is not there is not copied.
    assert span_attributes(copy, other=1) == {"other": 1}


def test_form_21_only_when_absent() -> None:
    statement = 'set(resource.attributes["service.name"], "unknown") where resource.attributes["service.name"] == nil'
    nameless, named = batch_of({}, resource={"a": 1}), batch_of({})
    (subject,) = left_of(transformed(nameless, statement).batch)
    assert attributes(subject.resource.resource) == {"a": 1, "service.name": "unknown"}
    assert transformed(named, statement).batch is named


def test_form_22_a_new_name() -> None:
    rename = [
        'set(span.attributes["net.peer"], span.attributes["server.address"])',
        'delete_key(span.attributes, "server.address")',
    ]
    assert attributes(only(*rename, attributes={"server.address": "db", "a": 1}).span) == {"net.peer": "db", "a": 1}


def test_form_23_deletion_by_pattern() -> None:
    statement = 'delete_matching_keys(span.attributes, "(?i)^http\\\\.request\\\\.header\\\\.(cookie|authorization)$")'
    given = {"http.request.header.Cookie": "x", "http.request.header.cookies": "y", "a": 1}
    assert span_attributes(statement, **given) == {"http.request.header.cookies": "y", "a": 1}


def test_form_24_an_allow_list() -> None:
    subject = only('keep_keys(resource.attributes, ["service.name", "host.name"])')
    assert attributes(subject.resource.resource) == {"service.name": "shop", "host.name": "h1"}


def test_form_25_a_part_of_a_value_masked() -> None:
    statement = 'replace_pattern(span.attributes["url.full"], "token=[^&]+", "token=***")'
    masked = "https://x/?token=***&a=1&token=***"
    assert span_attributes(statement, **{"url.full": "https://x/?token=abc&a=1&token=d"}) == {"url.full": masked}
    assert span_attributes(statement, **{"url.full": 5}) == {"url.full": 5}


def test_form_26_masked_everywhere() -> None:
    statement = 'replace_all_patterns(span.attributes, "value", "[0-9]{16}", "<card>")'
    given = {"a": "card 1234567890123456.", "b": "1234567890123456", "c": 1234567890123456, "d": "none"}
    assert span_attributes(statement, **given) == {**given, "a": "card <card>.", "b": "<card>"}


def test_form_27_a_name_without_numbers() -> None:
    assert only('replace_pattern(span.name, "/[0-9]+", "/{id}")', name="GET /a/1/b/22").span.name == "GET /a/{id}/b/{id}"


def test_form_28_a_name_composed() -> None:
    parts = 'Concat([span.attributes["http.request.method"], span.attributes["http.route"]], " ")'
    statement = f"set(span.name, {parts}) where span.kind == SPAN_KIND_SERVER"
    given = {"http.request.method": "GET", "http.route": "/cart"}
    assert only(statement, name="old", kind=2, attributes=given).span.name == "GET /cart"
    assert only(statement, name="old", kind=3, attributes=given).span.name == "old"


def test_form_29_a_status_mended() -> None:
    statement = 'set(span.status.code, STATUS_CODE_UNSET) where span.attributes["http.response.status_code"] == 404'
    failed = {"status": {"code": 2, "message": "no"}}
    assert only(statement, **failed, attributes={"http.response.status_code": 404}).span.status.code == 0
    assert only(statement, **failed, attributes={"http.response.status_code": 500}).span.status.code == 2


def test_form_30_sizes_bounded() -> None:
    assert span_attributes("truncate_all(span.attributes, 5)", a="abcdefg", b="ééé", c=1234567) == {
        "a": "abcde",
        "b": "éé",
        "c": 1234567,
    }
    given = {f"k{number}": number for number in range(5)} | {"http.route": "/"}
    kept = span_attributes('limit(span.attributes, 3, ["http.route"])', **given)
    assert kept == {"k0": 0, "k1": 1, "http.route": "/"}


def test_a_payload_of_json_becomes_attributes() -> None:
    statement = 'merge_maps(span.attributes, ParseJSON(span.attributes["payload"]), "upsert")'
    payload = '{"a": 1.5, "b": {"c": [true]}}'
    assert span_attributes(statement, payload=payload, a="old") == {"payload": payload, "a": 1.5, "b": {"c": [True]}}


def test_groups_of_a_pattern_become_attributes_that_are_missing() -> None:
    statement = 'merge_maps(span.attributes, ExtractPatterns(span.name, "^/t/(?P<tenant>[^/]+)/(?P<rest>.*)"), "insert")'
    subject = only(statement, name="/t/acme/x", attributes={"tenant": "old"})
    assert attributes(subject.span) == {"tenant": "old", "rest": "x"}


def test_a_user_is_hashed_and_a_duration_counted() -> None:
    subject = only(
        'set(span.attributes["user"], SHA256(span.attributes["user"]))',
        'set(span.attributes["ms"], Milliseconds(span.end_time - span.start_time))',
        attributes={"user": "ann"},
    )
    assert attributes(subject.span) == {"user": hashlib.sha256(b"ann").hexdigest(), "ms": 5}


def test_what_is_nested_is_laid_out_flat() -> None:
    given = {"a": {"b": {"c": 1}, "d": [5, "x"]}, "e": "f", "a.d.0": "old"}
    assert span_attributes("flatten(span.attributes)", **given) == {"a.b.c": 1, "a.d.0": "old", "a.d.1": "x", "e": "f"}
    flat = {"p.a.b": {"c": 1}, "p.a.d": [5, "x"], "p.e": "f", "p.a.d.0": "old"}
    assert span_attributes('flatten(span.attributes, "p", 1)', **given) == flat


def test_everything_becomes_text() -> None:
    given = {"a": 1, "b": 0.5, "c": True, "d": "x", "e": [1, "y"]}
    assert span_attributes("stringify_all(span.attributes)", **given) == {
        "a": "1",
        "b": "0.5",
        "c": "true",
        "d": "x",
        "e": '[1,"y"]',
    }


def test_what_is_found_is_replaced_by_its_groups_or_by_what_a_function_makes_of_them() -> None:
    given = {"a": "kube_pod_name"}
    assert span_attributes('replace_pattern(span.attributes["a"], "kube_([a-z]+)_", "k8s.$1.")', **given) == {"a": "k8s.pod.name"}
    assert span_attributes('replace_pattern(span.attributes["a"], "(?P<x>pod)", "${x}$$")', **given) == {"a": "kube_pod$_name"}
    hashed = hashlib.sha256(b"pod").hexdigest()
    statement = 'replace_pattern(span.attributes["a"], "kube_([a-z]+)", "$1", SHA256, "<%s>")'
    assert span_attributes(statement, **given) == {"a": f"<{hashed}>_name"}
    assert span_attributes('replace_match(span.attributes["a"], "kube_*", "k8s")', **given) == {"a": "k8s"}
    assert span_attributes('replace_match(span.attributes["a"], "kube_", "k8s")', **given) == given
    assert span_attributes('replace_all_matches(span.attributes, "*pod*", "pod")', **given) == {"a": "pod"}
    assert span_attributes('replace_all_patterns(span.attributes, "key", "^", "x.")', **given) == {"x.a": "kube_pod_name"}


def test_lists_grow_and_shrink() -> None:
    assert span_attributes('append(span.attributes["a"], 5)', a=["x"]) == {"a": ["x", 5]}
    assert span_attributes('append(span.attributes["a"], values = ["y", "z"])', a="x") == {"a": ["x", "y", "z"]}
    assert span_attributes('append(span.attributes["a"], "x")') == {"a": ["x"]}
    assert span_attributes('delete_index(span.attributes["a"], 0, 2)', a=[1, 2, 3]) == {"a": [3]}
    assert span_attributes('delete_index(span.attributes["a"], 1)', a=[1, 2, 3]) == {"a": [1, 3]}


def test_what_lies_within_values_is_set_and_removed() -> None:
    assert span_attributes('set(span.attributes["a"]["b"]["c"], 5)', a={"x": 1}) == {"a": {"x": 1, "b": {"c": 5}}}
    assert span_attributes('set(span.attributes["a"][1], "y")', a=["x", "x"]) == {"a": ["x", "y"]}
    assert span_attributes('delete_key(span.attributes["a"], "x")', a={"x": 1, "y": 2}) == {"a": {"y": 2}}
    assert span_attributes('truncate_all(span.attributes["a"], 1)', a={"x": "long"}) == {"a": {"x": "l"}}


def test_every_field_that_can_be_set_is_set() -> None:
    subject = only(
        "set(span.trace_id, TraceID(0x0102030405060708090a0b0c0d0e0f10))",
        'set(span.span_id.string, "00000000000000ff")',
        "set(span.parent_span_id, SpanID(0x0000000000000000))",
        'set(span.kind.string, "Server")',
        'set(span.status.message, "late")',
        'set(span.trace_state["vendor"], "1")',
        'set(span.end_time, span.start_time + Duration("1s"))',
        "set(span.start_time_unix_nano, 7)",
        "set(span.flags, 1)",
        "set(span.dropped_links_count, 3)",
        'set(scope.version, "2")',
        'set(scope.attributes["a"], true)',
        'set(resource.schema_url, "https://example.com")',
        "set(spanevent.time_unix_nano, 9)",
        'set(spanevent.attributes["n"], spanevent.event_index)',
        parent_span_id=b"\1" * 8,
        trace_state="a=b",
        events=[("x", {}), ("y", {})],
    )
    span = subject.span
    assert span.trace_id.hex() == "0102030405060708090a0b0c0d0e0f10"
    assert (span.span_id.hex(), span.parent_span_id, span.kind) == ("00000000000000ff", b"", 2)
    assert (span.status.message, span.trace_state, span.flags, span.dropped_links_count) == ("late", "vendor=1,a=b", 1, 3)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (7, EPOCH + 10**9)
    assert (subject.scope.scope.version, attributes(subject.scope.scope)) == ("2", {"a": True})
    assert subject.resource.schema_url == "https://example.com"
    assert [(event.time_unix_nano, attributes(event)) for event in span.events] == [(9, {"n": 0}), (9, {"n": 1})]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ('set(span.name, span.attributes["n"])', "name takes string, found int"),
        ('set(span.kind, span.attributes["n"])', "kind takes int from 0 to 5"),
        ('set(span.trace_id.string, "00")', "trace_id takes 16 bytes"),
        ("set(span.span_id, SpanID(0x0000000000000000))", "span_id takes bytes that are not all zero"),
        ('set(span.kind.string, "SERVER")', "kind.string takes one of Unspecified, Internal, Server"),
        ('set(span.trace_state["A B"], "x")', "no member of a trace state"),
        ('set(span.attributes["n"]["x"], 1)', "only a map has keys such as x"),
        ('merge_maps(span.attributes, span.attributes["n"], "upsert")', "expected a map"),
        ('set(span.attributes["l"], Len(span.attributes["absent"]))', "expected a string, bytes, list or map, found nil"),
        ('set(span.attributes["l"], 1) where Len(span.attributes["absent"]) > 0', "expected a string, bytes, list or map"),
    ],
)
def test_what_cannot_be_done_leaves_the_span_as_it_is_and_is_counted(statement: str, reason: str) -> None:
    batch = batch_of({"name": "a", "attributes": {"n": 77}})
    done = transformed(batch, statement)
    assert done.batch is batch
    assert done.failures == {"trace_statements[0]": 1}
    assert reason in done.reasons["trace_statements[0]"]
    assert statement in done.reasons["trace_statements[0]"]


@pytest.mark.parametrize("mode", ["ignore", "silent", "propagate"])
def test_error_modes(mode: str) -> None:
    batch = batch_of({"name": "a", "attributes": {"n": "x"}}, {"name": "b", "attributes": {"n": 1}}, {"name": "c"})
    statements = ['set(attributes["n"], ToUpperCase(attributes["n"]))', 'set(name, "done")']
    done = transformed(batch, {"context": "span", "error_mode": mode, "statements": statements}, error_mode="ignore")
    assert done.failures == {"trace_statements[0].statements[0]": 2}
    assert bool(done.reasons) == (mode != "silent")
    names = [subject.span.name for subject in left_of(done.batch)]
    assert names == (["done"] if mode == "propagate" else ["done", "done", "done"])
    # What is given up is as it came.
    assert [subject.span.name for subject in left_of(done.failed)] == (["b", "c"] if mode == "propagate" else [])
    assert attributes(left_of(done.batch)[0].span) == {"n": "X"}


def test_a_resource_for_which_something_fails_takes_its_spans_along_if_that_is_wanted() -> None:
    batch = batch_of({"name": "a"}, {"name": "b"})
    statement = 'set(resource.attributes["n"], Len(resource.attributes["absent"]))'
    done = transformed(batch, statement, error_mode="propagate")
    assert (len(done.batch), len(left_of(done.failed)), done.failures) == (0, 2, {"trace_statements[0]": 1})


def test_a_resource_is_changed_for_some_of_its_spans_alone() -> None:
    batch = batch_of({"name": "a", "kind": 2}, {"name": "b", "kind": 3}, {"name": "c", "kind": 2})
    done = transformed(batch, 'set(resource.attributes["first"], span.name) where span.kind == SPAN_KIND_SERVER')
    found = {subject.span.name: attributes(subject.resource.resource) for subject in left_of(done.batch)}
    assert found == {"a": {**SHOP, "first": "a"}, "b": SHOP, "c": {**SHOP, "first": "c"}}
    assert len(done.batch.resources) == 3


def test_a_resource_stays_one_where_its_spans_agree() -> None:
    batch = batch_of({"name": "a"}, {"name": "a"})
    done = transformed(
        batch, 'set(resource.attributes["name"], span.name)', 'delete_key(scope.attributes, "x") where span.kind == 0'
    )
    assert len(done.batch.resources) == 1
    assert [attributes(subject.resource.resource) for subject in left_of(done.batch)] == [{**SHOP, "name": "a"}] * 2


def test_a_service_is_renamed_for_some_of_its_spans() -> None:
    batch = batch_of({"name": "a"}, {"name": "b"})
    done = transformed(batch, 'set(resource.attributes["service.name"], "other") where span.name == "b"')
    rows = done.batch.scopes["resource"][done.batch.spans["scope"]]
    names = done.batch.attributes[done.batch.resources["service_name"][rows]]
    data = done.batch.data
    texts = [data[offset : offset + length].tobytes() for offset, length in names[["value_offset", "value_length"]].tolist()]
    assert texts == [b"shop", b"other"]


def test_the_last_event_that_is_meant_says_what_becomes_of_its_span() -> None:
    events = [("exception", {"message": "first"}), ("exception", {"message": "last"}), ("other", {"message": "none"})]
    statement = 'set(span.status.message, spanevent.attributes["message"]) where spanevent.name == "exception"'
    assert only(statement, events=events).span.status.message == "last"


def test_events_keep_to_their_spans_in_a_piece_in_another_order() -> None:
    batch = batch_of({"name": "a", "events": [("e", {})]}, {"name": "b", "events": [("f", {}), ("g", {})]})
    statement = 'set(spanevent.attributes["of"], span.name) where spanevent.name != "f"'
    done = transformed(batch.select(np.array([1, 0])), statement)
    found = {subject.span.name: [(e.name, attributes(e)) for e in subject.span.events] for subject in left_of(done.batch)}
    assert found == {"a": [("e", {"of": "a"})], "b": [("f", {}), ("g", {"of": "b"})]}


def test_a_group_is_done_where_one_of_its_conditions_holds_before_it_begins() -> None:
    batch = batch_of({"name": "a"}, {"name": "b"}, {"name": "c"})
    group = {
        "context": "span",
        "conditions": ['name == "a"', 'name == "b"'],
        "statements": ['set(name, "x")', 'set(attributes["was"], "a or b")'],
    }
    found = [(subject.span.name, attributes(subject.span)) for subject in left_of(transformed(batch, group).batch)]
    assert found == [("x", {"was": "a or b"}), ("x", {"was": "a or b"}), ("c", {})]


def test_a_condition_of_a_group_that_fails_counts_as_one_of_the_statements() -> None:
    batch = batch_of({"name": "a"}, {"name": "b"})
    group = {"context": "span", "conditions": ['Len(attributes["x"]) > 0', 'name == "b"'], "statements": ['set(name, "x")']}
    done = transformed(batch, group)
    assert done.failures == {"trace_statements[0].conditions[0]": 2}
    assert [subject.span.name for subject in left_of(done.batch)] == ["a", "x"]


def test_conditions_on_events_choose_events() -> None:
    batch = batch_of({"name": "a", "events": [("e", {}), ("f", {})]})
    group = {"context": "spanevent", "conditions": ['name == "e"'], "statements": ['set(name, "x")', 'set(span.name, "y")']}
    (subject,) = left_of(transformed(batch, group).batch)
    assert (subject.span.name, [event.name for event in subject.span.events]) == ("y", ["x", "f"])


def test_what_is_kept_in_the_cache_lasts_for_a_group() -> None:
    batch = batch_of({"name": "GET /a"}, {"name": "none"})
    first = {
        "context": "span",
        "statements": [
            'merge_maps(cache, ExtractPatterns(name, "^(?P<method>[A-Z]+) "), "upsert")',
            'set(cache["n"], 5) where cache["method"] != nil',
            'set(attributes["method"], cache["method"])',
            'set(attributes["n"], cache["n"])',
        ],
    }
    second = {"context": "span", "statements": ['set(attributes["again"], cache["n"])']}
    found = [attributes(subject.span) for subject in left_of(transformed(batch, first, second).batch)]
    assert found == [{"method": "GET", "n": 5}, {}]


@pytest.mark.parametrize(
    "statement",
    [
        'set(span.attributes["x"], 1) where span.name == "other"',
        'delete_key(span.attributes, "absent")',
        'replace_pattern(span.name, "absent", "x")',
        'replace_all_patterns(resource.attributes, "value", "absent", "x")',
        'keep_matching_keys(span.attributes, "")',
        "truncate_all(span.attributes, 100)",
        "limit(span.attributes, 100)",
        "flatten(scope.attributes)",
        'merge_maps(span.attributes, span.attributes, "insert")',
        'set(spanevent.attributes["x"], 1)',
    ],
)
def test_nothing_is_copied_where_nothing_changes(statement: str) -> None:
    batch = batch_of({"name": "a", "attributes": {"a": 1}})
    assert transformed(batch, statement).batch is batch


def test_no_spans_are_no_spans() -> None:
    batch = batch_of({"name": "a"}).select(slice(0, 0))
    assert transformed(batch, 'set(span.name, "x")').batch is batch


MESSAGES = {"messaging.system": "kafka", "messaging.operation": "send"}


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        ("SERVER", {"http.request.method": "GET", "http.route": "/a/{id}", "url.template": "/b"}, "GET /a/{id}"),
        ("SERVER", {"http.method": "GET"}, "GET"),
        ("CLIENT", {"http.request.method": "GET", "http.route": "/a", "url.template": "/b"}, "GET /b"),
        ("INTERNAL", {"http.request.method": "GET", "http.route": "/a"}, "before"),
        ("CLIENT", {"rpc.system": "grpc", "rpc.service": "Shop", "rpc.method": "Buy", "db.system": "x"}, "Shop/Buy"),
        ("SERVER", {"rpc.system.name": "grpc", "rpc.service": "Shop"}, "Shop/*"),
        ("SERVER", {"rpc.system": "grpc", "rpc.method": "Shop/Buy"}, "Shop/Buy"),
        ("SERVER", {"rpc.system": "grpc"}, "grpc"),
        ("SERVER", {"rpc.method": "Buy"}, "before"),
        ("CLIENT", {"db.system.name": "x", "db.query.summary": "SELECT a", "db.operation.name": "SELECT"}, "SELECT a"),
        ("CLIENT", {"db.system": "x", "db.operation": "SELECT", "db.name": "shop", "db.collection.name": "b"}, "SELECT shop.b"),
        ("CLIENT", {"db.system": "x", "db.stored_procedure.name": "p"}, "p"),
        ("CLIENT", {"db.system": "x", "server.address": "db", "server.port": 5432}, "db:5432"),
        ("CLIENT", {"db.system": "x", "server.port": 5432}, "x"),
        ("SERVER", {"db.system": "x"}, "before"),
        ("PRODUCER", {**MESSAGES, "messaging.destination.name": "mails"}, "send mails"),
        (
            "CONSUMER",
            {**MESSAGES, "messaging.destination.temporary": True, "messaging.destination": "m"},
            "send (temporary)",
        ),
        ("CONSUMER", {**MESSAGES, "messaging.destination.anonymous": True}, "send (anonymous)"),
        ("CLIENT", {"messaging.system": "kafka", "messaging.destination.template": "m/{id}", "server.address": "s"}, "m/{id}"),
        ("PRODUCER", {"messaging.system": "kafka"}, "kafka"),
        ("PRODUCER", {"http.request.method": "GET"}, "before"),
        ("SERVER", {}, "before"),
    ],
)
def test_spans_are_named_by_the_semantic_conventions(kind: str, given: dict[str, Any], name: str) -> None:
    fields = {"kind": f"SPAN_KIND_{kind}", "name": "before", "attributes": given}
    named = only('set_semconv_span_name("1.37.0", "was")', **fields).span
    kept = {} if name == "before" else {"was": "before"}
    assert (named.name, attributes(named)) == (name, {**given, **kept})
    assert only('set_semconv_span_name("v1.43") where false', **fields).span.name == "before"


def test_an_attribute_with_the_name_before_is_there_for_what_comes_next() -> None:
    given = {"http.request.method": "GET", "was": 1}
    statements = ['set_semconv_span_name("1.38.0", "was")', 'set(span.attributes["copy"], span.attributes["was"])']
    span = only(*statements, kind="SPAN_KIND_SERVER", name="before", attributes=given).span
    assert (span.name, attributes(span)) == ("GET", {**given, "was": "before", "copy": "before"})
