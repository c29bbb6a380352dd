"""Statements on columns leave of each span what plain Python leaves of it."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.base import Processed
from collector.processors.transform import Transform
from config.ottl import read_flat_condition
from config.ottl_statements import OttlError, read_flat_statement
from config.transforming import TransformProcessor
from proto.join import concatenate
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support import ottl_statements_oracle as oracle
from tests.support.ottl_oracle import Subject, verdict
from tests.support.requests import key_values
from tests.unit.test_ottl_evaluate import ANYTHING, requests

PHASES = set(Phase) - {Phase.explain}
"""To explain a failure, every line would be traced, which takes most of the time."""
FIELDS = ["name", "kind", "status.code", "status.message", "trace_state", 'trace_state["a"]', "start_time", "end_time_unix_nano"]
PLACES = [
    *ANYTHING,
    *(f"span.{field}" for field in [*FIELDS, "parent_span_id", "span_id", "dropped_attributes_count"]),
    *('span.attributes["a"]["b"]', 'span.attributes["a"][0]', 'span.cache["k"]', 'span.cache["k"]["l"]'),
    *("scope.name", "scope.version", "resource.schema_url", 'resource.attributes["service.name"]'),
    *('spanevent.attributes["a"]', "spanevent.name"),
]
VALUES = [
    *ANYTHING,
    *("nil", "true", "1", "-1", "7", "0.5", '"é"', '"x=y"', "0x61", '[1, "a"]', '{"a": {"b": 1}}', "SpanID(0x0000000000000000)"),
    *("span.name", "span.kind", "span.status.message", 'span.trace_state["a"]', "span.start_time", "span.end_time_unix_nano"),
    *("scope.name", 'span.cache["k"]', "spanevent.name", "spanevent.event_index", "span.span_id", "span.parent_span_id"),
    *('Concat([span.name, span.attributes["a"], 5], "-")', 'Split(span.name, "a")', "span.kind + 1", "Len(span.attributes)"),
    *("Substring(span.name, 0, 1)", 'ExtractPatterns(span.name, "(?P<x>a)")', 'Int(span.attributes["a"])', "IsRootSpan()"),
    *('span.attributes["a"] * 2', 'span.attributes["a"]["b"]', 'spanevent.name == "a"'),
]
MAPS = [
    "span.attributes",
    "resource.attributes",
    "scope.attributes",
    "spanevent.attributes",
    'span.attributes["a"]',
    "span.cache",
]
PATTERNS = ["a", "^a", "b$", "(a)(b)?", "[^a]"]
STRATEGIES = ["insert", "update", "upsert"]
REPLACEMENTS = ['"x"', '"$1."', '"<$$>"', '""', "scope.name"]
CONSTANTS = ['"x"', '"a"', '"$1."', '""']
WHERES = [
    *("span.kind == 1", 'span.attributes["a"] == nil', 'resource.attributes["a"] != nil', "IsRootSpan()", 'span.name == "a"'),
    *('scope.name == "a"', 'Len(span.attributes["b"]) > 0', 'spanevent.name == "a"', "span.status.code == 0", "true"),
]
LIMITS = ["limit(span.attributes, 1)", 'limit(span.attributes, 2, ["b"])', "limit(resource.attributes, 0)"]
EDITORS: list[tuple[str, list[list[str]]]] = [
    *[("set({}, {})", [PLACES, VALUES])] * 4,
    ('delete_key({}, "{}")', [MAPS, ["a", "b", "c"]]),
    ('delete_matching_keys({}, "{}")', [MAPS, PATTERNS]),
    ('keep_matching_keys({}, "{}")', [MAPS, PATTERNS]),
    ('keep_keys({}, ["a", "service.name"])', [MAPS]),
    ("append({}, {})", [PLACES, VALUES]),
    ("append({}, values = {})", [PLACES, VALUES]),
    *[('merge_maps({}, {}, "{}")', [MAPS, MAPS, STRATEGIES])] * 2,
    *[('merge_maps({}, {}, "{}")', [MAPS, VALUES, STRATEGIES])] * 2,
    ("set({}, {})", [MAPS, [*MAPS, '{"a": {"b": 1}}', 'ExtractPatterns(span.name, "(?P<x>a)")']]),
    ("flatten({})", [MAPS]),
    ('flatten({}, "p", {})', [MAPS, ["0", "1", "2"]]),
    ("truncate_all({}, {})", [MAPS, ["0", "1", "2"]]),
    *[('replace_pattern({}, "{}", {})', [PLACES, PATTERNS, REPLACEMENTS])] * 2,
    ('replace_match({}, "{}", {})', [PLACES, ["a", "a*", "*"], REPLACEMENTS]),
    *[('replace_all_patterns({}, "{}", "{}", {})', [MAPS, ["key", "value"], PATTERNS, CONSTANTS])] * 2,
    ('replace_all_matches({}, "{}", "x")', [MAPS, ["a", "a*", "*"]]),
]


@cache
def pool() -> list[str]:
    """Statements that can be read: to find them while examples are drawn would take long."""
    random, found = Random(1), []
    while len(found) < 1200:
        form, parts = random.choice(EDITORS)
        text = form.format(*map(random.choice, parts))
        text += f" where {random.choice(WHERES)}" if random.random() < 0.5 else ""
        with suppress(OttlError):
            read_flat_statement(text)
            found.append(text)
    return found


statements = st.integers(0, 1199).map(lambda number: pool()[number])
lists = st.builds(
    lambda first, others: [*first, *others],
    st.lists(st.sampled_from(LIMITS), max_size=1),
    st.lists(statements, min_size=1, max_size=4),
)


def transformed(batch: SpanBatch, *texts: Any, **settings: Any) -> Processed:
    return Transform(TransformProcessor.model_validate({"trace_statements": texts, **settings})).process(batch)


def described(subject: Subject) -> tuple[Any, ...]:
    """All that is known of a span, without the order of attributes."""
    if not subject.span.status.ByteSize():
        subject.span.ClearField("status")
    owners = [subject.resource.resource, subject.scope.scope, subject.span, *subject.span.events]
    attributes = []
    for owner in owners:
        entries = {entry.key: entry.value.SerializeToString(deterministic=True) for entry in owner.attributes}
        assert len(entries) == len(owner.attributes), "a key stands twice"
        attributes.append(dict(sorted(entries.items())))
        del owner.attributes[:]
    others = [owner.SerializeToString(deterministic=True) for owner in owners]
    return (attributes, others, subject.resource.schema_url, subject.scope.schema_url)


def left_of(batch: SpanBatch) -> list[tuple[Any, ...]]:
    request = ExportTraceServiceRequest.FromString(encode_request(batch))
    return sorted(map(described, oracle.alone(request)), key=repr)


def with_something_nested(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    request.resource_spans[0].resource.attributes.extend(key_values({"nested": [1]}))
    return request


@settings(max_examples=300, deadline=None, phases=PHASES)
@given(requests().map(with_something_nested), lists)
def test_spans_become_what_they_become_by_the_oracle(request: ExportTraceServiceRequest, texts: list[str]) -> None:
    subjects = oracle.alone(request)
    batch = decode(request.SerializeToString()).batch
    before = left_of(batch)
    oracle.run([read_flat_statement(text) for text in texts], subjects)

    done = transformed(batch, *texts)

    expected = sorted(map(described, subjects), key=repr)
    assert left_of(done.batch) == expected
    assert encode(done.batch).rows == len(batch)
    assert left_of(batch) == before, "the batch that was given has changed"
    if done.batch is batch:
        assert expected == before


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(requests(), requests(), lists, st.randoms())
def test_a_piece_of_several_requests_in_another_order_becomes_the_same(
    first: ExportTraceServiceRequest, second: ExportTraceServiceRequest, texts: list[str], random: Any
) -> None:
    batch = concatenate([decode(each.SerializeToString()).batch for each in (first, second)])
    rows = random.sample(range(len(batch)), random.randint(1, len(batch)))
    piece = batch.select(np.array(rows))
    whole = [*oracle.alone(first), *oracle.alone(second)]
    subjects = [whole[row] for row in rows]
    oracle.run([read_flat_statement(text) for text in texts], subjects)
    assert left_of(transformed(piece, *texts).batch) == sorted(map(described, subjects), key=repr)


CHOOSING = [where for where in WHERES if "spanevent" not in where]


@settings(max_examples=100, deadline=None, phases=PHASES)
@given(requests().map(with_something_nested), lists, st.lists(st.sampled_from(CHOOSING), min_size=1, max_size=2))
def test_a_group_is_done_for_the_spans_that_its_conditions_chose(
    request: ExportTraceServiceRequest, texts: list[str], conditions: list[str]
) -> None:
    subjects = oracle.alone(request)
    roots = [read_flat_condition(text).root for text in conditions]
    chosen = [subject for subject in subjects if any(verdict(root, subject) for root in roots)]
    oracle.run([read_flat_statement(text) for text in texts], chosen)

    batch = decode(request.SerializeToString()).batch
    done = transformed(batch, {"conditions": conditions, "statements": texts})

    assert left_of(done.batch) == sorted(map(described, subjects), key=repr)
