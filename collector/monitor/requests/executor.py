"""Executes saved requests, each with a trace of its own, and stores what came of it."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from collector.control.objects import Objects
from collector.control.versions import Stored
from collector.egress.destination import Destination, EgressRefused, read_url
from collector.fair_turns import TurnLimits, Turns
from collector.monitor.expectations import Judge
from collector.monitor.failures.injecting import Injection, Injector
from collector.monitor.failures.rules import AddedLatency, ErrorAnswer, TimeOut
from collector.monitor.failures.standing import standing_rules
from collector.monitor.failures.tally import InjectedFailures
from collector.monitor.own_spans import OwnSpan, OwnSpans
from collector.monitor.reach import Reach
from collector.monitor.requests.description import service_of, span_attributes, span_name, subject_of
from collector.monitor.requests.exchange import Exchange, Outlet, Timings, exchange
from collector.monitor.requests.execution_store import Execution, ExecutionStore
from collector.monitor.requests.grpc_call import call
from collector.monitor.requests.grpc_judge import GrpcJudge
from collector.monitor.requests.grpc_statuses import of_http
from collector.monitor.requests.request import GrpcRequest, prepare, with_secrets
from collector.monitor.requests.saved import SavedRequest
from collector.monitor.secrets import SecretError
from collector.tls import current_client_context
from config.tls import ClientTls

_log = structlog.get_logger(__name__)

_AGENT: Final = "spanhouse-request"
_TURNS: Final = TurnLimits(at_once=16, of_workspace=8, wait_s=30.0)
"""A workspace whose servers are slow must not hold up the requests of others."""


class Executor:
    """Executes requests, a few at a time, of which workspaces take turns.

    Args:
        reach: where they may go, with which secrets.
        tls: how targets with TLS are known.
        store: of executions.
        objects: where failure rules are.
        spans: takes that of each request.
        injected: counts those that went wrong on purpose.
        now: nanoseconds since 1970.

    Attributes:
        outcomes: how many requests were sent, by `success` and `failure`; and how many were `refused`.
    """

    def __init__(
        self,
        reach: Reach,
        tls: ClientTls,
        store: ExecutionStore,
        objects: Objects,
        spans: OwnSpans,
        injected: InjectedFailures,
        now: Callable[[], int],
    ) -> None:
        self._reach = reach
        self._tls = tls
        self._store = store
        self._objects = objects
        self._spans = spans
        self._injected = injected
        self._now = now
        self.outcomes: Counter[str] = Counter()
        self._turns = Turns(_TURNS)

    async def execute(self, workspace: str, stored: Stored[SavedRequest], author: str) -> Execution:
        """Send a request and store what came of it.

        Args:
            author: the name of the caller.

        Raises:
            EgressRefused: it may not be sent there.
            SecretError: it names a secret that may not be used there.
            TlsError: the files for TLS cannot be used.
            Busy: too many others wait to be sent; it was not.
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: it was sent, and what came of it could not be stored.
        """
        saved = stored.settings
        trace_id, span_id = os.urandom(16).hex(), os.urandom(8).hex()
        async with self._turns.turn(workspace):
            at = self._now()
            injection = await self._injection(workspace, saved, trace_id)
            try:
                told = await self._send_or_fail(workspace, saved, trace_id, span_id, injection)
            except (EgressRefused, SecretError) as error:
                self.outcomes["refused"] += 1
                _log.warning("request_refused", workspace=workspace, name=saved.name, by=author, reason=str(error))
                raise
        judge, answered = _judge(saved), bool(told.status) or not told.cause
        cause = told.cause or await asyncio.to_thread(judge.judge, told.status, told.timings.total, told.body)
        self.outcomes["failure" if cause else "success"] += 1
        if injection is not None:
            self._injected.count(workspace, service_of(saved.request, saved.service), injection.failure.type)
        execution = Execution(
            id=uuid.uuid4(),
            workspace=workspace,
            request=stored.id,
            request_version=stored.version,
            name=saved.name,
            at=at,
            by=author,
            trace_id=trace_id,
            span_id=span_id,
            cause=cause,
            exchange=replace(told, cause=cause),
            injected=None if injection is None else (injection.rule, injection.failure.type),
        )
        await self._spans.tell(workspace, [_span(execution, saved, injection, answered=answered)])
        await self._store.write(execution)
        return execution

    async def _injection(self, workspace: str, saved: SavedRequest, trace_id: str) -> Injection | None:
        """What goes wrong on purpose."""
        rules = await standing_rules(self._objects, workspace)
        if not rules:
            return None
        at = datetime.fromtimestamp(self._now() / 1e9, UTC)
        return Injector(rules, subject_of(saved.request, saved.service), at).draw(bytes.fromhex(trace_id))

    async def _send_or_fail(
        self, workspace: str, saved: SavedRequest, trace_id: str, span_id: str, injection: Injection | None
    ) -> Exchange:
        if injection is None:
            return await self._send(workspace, saved, trace_id, span_id, saved.timeout.seconds)
        timeout = int(saved.timeout)
        delay = min(injection.delay, timeout)
        await asyncio.sleep(delay / 1e9)
        told = Exchange(Timings(total=delay), urls=(saved.request.url,))
        match injection.failure:
            case AddedLatency() if delay < timeout:
                told = await self._send(workspace, saved, trace_id, span_id, (timeout - delay) / 1e9)
                told.timings.total += delay
            case AddedLatency() | TimeOut():
                told.cause = "timeout"
            case ErrorAnswer(status=status, message=message):
                told.status, told.body = status, message.encode()
                if isinstance(saved.request, GrpcRequest):
                    told.status = of_http(status)
            case failure:
                told.cause = failure.type
        return told

    async def _send(self, workspace: str, saved: SavedRequest, trace_id: str, span_id: str, timeout_s: float) -> Exchange:
        reach = self._reach
        secret = reach.secrets_at(Destination.of_url(read_url(saved.request.url)), workspace)
        # A trace that begins here has no parent, so that there is no X-Parent-Span-ID to tell.
        context = [("traceparent", f"00-{trace_id}-{span_id}-01"), ("X-Trace-ID", trace_id), ("X-Span-ID", span_id)]
        if isinstance(saved.request, GrpcRequest):
            metadata = [(name, with_secrets(text, secret)) for name, text in saved.request.metadata.items()]
            metadata += [(name.lower(), value) for name, value in context]
            return await call(reach.policy, reach.lookup, self._tls, saved.request, metadata, timeout_s)
        prepared = prepare(saved.request, secret, _AGENT)
        outlet = Outlet(reach.policy, reach.lookup, partial(current_client_context, self._tls, "extensions.load_tests.tls"))
        return await exchange(outlet, prepared, context, timeout_s, saved.follow_redirects)


def _judge(saved: SavedRequest) -> Judge:
    if isinstance(saved.request, GrpcRequest):
        return GrpcJudge(saved.expectations, saved.request.expected_status)
    return Judge(saved.expectations, no_errors=saved.request.kind == "graphql")


def _span(execution: Execution, saved: SavedRequest, injection: Injection | None, *, answered: bool) -> OwnSpan:
    """The request as its client saw it, which is where its trace begins."""
    told = execution.exchange
    attributes = span_attributes(saved.request, told.status, answered=answered)
    attributes |= {"spanhouse.request.execution": str(execution.id), "spanhouse.request.name": execution.name}
    attributes |= injection.attributes if injection is not None else {}
    end = execution.at + told.timings.total
    name = span_name(saved.request)
    return OwnSpan(execution.trace_id, execution.span_id, name, execution.at, end, attributes, execution.cause)
