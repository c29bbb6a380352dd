"""Spans of those requests of a load test that its result names, and of those with which something went wrong on purpose.

All requests would be as many spans as the services under test send themselves; these are where people look.
"""

from __future__ import annotations

from collections.abc import Iterator

from collector.failure_marks import marks
from collector.monitor.load.interval import Summary
from collector.monitor.load.message import span_id_of
from collector.monitor.load.run_store import Run
from collector.monitor.own_spans import OwnSpan
from collector.monitor.requests.description import span_attributes, span_name
from collector.monitor.requests.request import AnyRequest


def spans_of(run: Run, request: AnyRequest, interval: Summary) -> Iterator[OwnSpan]:
    """One for each request, as its client would see it: from when it was due, since that is when somebody began to wait.

    Args:
        request: that the run sends.
    """
    told = {each.trace_id: each for each in (*interval.slowest, *interval.failed, *interval.struck)}
    of_run = {"spanhouse.load_test.run": str(run.id), "spanhouse.load_test.name": run.name}
    for each in told.values():
        attributes = span_attributes(request, each.status, answered=bool(each.status) or not each.cause)
        attributes |= of_run | (marks(each.rule, each.failure) if each.rule else {})
        start, span_id = each.ended_at - each.duration, span_id_of(each.trace_id)
        yield OwnSpan(each.trace_id, span_id, span_name(request), start, each.ended_at, attributes, each.cause)
