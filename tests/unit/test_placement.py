"""Spans are put where an attribute of their resource says, and counted there."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.access import Caller
from collector.receivers.placement import amounts, place
from collector.tokens import Principal
from config.access import is_workspace_name
from proto.otlp_decode import decode
from tests.support.requests import key_values

NAMES = st.one_of(st.none(), st.sampled_from(["mine", "ours", "theirs", "default"]), st.text(max_size=5), st.integers(0, 9))


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 5)), max_size=12), st.booleans())
def test_every_span_is_in_a_workspace_that_its_caller_may_use(resources: list[tuple[object, int]], every: bool) -> None:
    allowed = frozenset(("mine", "ours"))
    caller = Caller(Principal("caller", "ingest", None if every else allowed), "mine")
    request, expected = ExportTraceServiceRequest(), Counter[str]()
    for name, spans in resources:
        resource_spans = request.resource_spans.add()
        # Another key of the same length stands beside it.
        resource_spans.resource.attributes.extend(key_values({"tenanx": "theirs"} | ({} if name is None else {"tenant": name})))
        for number in range(spans):
            resource_spans.scope_spans.add().spans.add(
                trace_id=bytes(15) + b"1", span_id=bytes([1] * 7 + [number]), name="x" * number
            )
        followed = isinstance(name, str) and is_workspace_name(name) and (every or name in allowed)
        expected[str(name) if followed else "mine"] += spans
    body = request.SerializeToString()
    batch, told = place(decode(body, "mine").batch, b"tenant", caller)
    found = Counter[str]()
    for scope in batch.spans["scope"]:
        found[batch.workspaces[batch.resources["workspace"][batch.scopes["resource"][scope]]]] += 1
    assert found == +expected
    assert bool(told) == any(isinstance(name, str) and not _followed(name, every, allowed) for name, _ in resources)
    sent = amounts(batch, len(body))
    assert {name: spans for name, (_, spans) in sent.items() if spans} == +expected
    assert sum(size for size, _ in sent.values()) <= len(body)


def _followed(name: str, every: bool, allowed: frozenset[str]) -> bool:
    return is_workspace_name(name) and (every or name in allowed)
