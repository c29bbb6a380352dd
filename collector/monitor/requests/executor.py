"""Executes saved requests, each with a trace of its own, and stores what came of it."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import grpc

from collector.control.versions import Stored
from collector.egress.destination import Destination, read_url
from collector.egress.policy import Policy
from collector.egress.resolving import Lookup, system_lookup
from collector.monitor.expectations import Judge
from collector.monitor.requests.exchange import Exchange, Outlet, exchange
from collector.monitor.requests.execution_store import Execution, ExecutionStore
from collector.monitor.requests.grpc_call import call
from collector.monitor.requests.request import GrpcRequest, prepare, with_secrets
from collector.monitor.requests.saved import SavedRequest
from collector.monitor.secrets import NamedSecrets
from collector.tls import current_client_context
from config.tls import ClientTls

_AGENT: Final = "spanhouse-request"
_AT_ONCE: Final = 16
_GRPC_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


class Executor:
    """Executes requests, a few at a time.

    Args:
        policy: where they may go.
        tls: how targets with TLS are known.
        secrets: that requests may name.
        store: of executions.
        now: nanoseconds since 1970.
        lookup: finds addresses of names.
    """

    def __init__(
        self,
        policy: Policy,
        tls: ClientTls,
        secrets: NamedSecrets,
        store: ExecutionStore,
        now: Callable[[], int],
        lookup: Lookup = system_lookup,
    ) -> None:
        self._policy = policy
        self._tls = tls
        self._secrets = secrets
        self._store = store
        self._now = now
        self._lookup = lookup
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def execute(self, workspace: str, stored: Stored[SavedRequest], author: str) -> Execution:
        """Send a request and store what came of it.

        Args:
            author: the name of the caller.

        Raises:
            EgressRefused: it may not be sent there.
            SecretError: it names a secret that may not be used there.
            TlsError: the files for TLS cannot be used.
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: it was sent, and what came of it could not be stored.
        """
        saved = stored.settings
        trace_id, span_id = os.urandom(16).hex(), os.urandom(8).hex()
        async with self._turns:
            at = self._now()
            told = await self._send(workspace, saved, trace_id, span_id)
        cause = told.cause or await asyncio.to_thread(_fault, saved, told)
        execution = Execution(
            uuid.uuid4(),
            workspace,
            stored.id,
            stored.version,
            saved.name,
            at,
            author,
            trace_id,
            span_id,
            cause,
            replace(told, cause=cause),
        )
        await self._store.write(execution)
        return execution

    async def _send(self, workspace: str, saved: SavedRequest, trace_id: str, span_id: str) -> Exchange:
        destination = Destination.of_url(read_url(saved.request.url))

        def secret(name: str) -> str:
            self._secrets.check_destination(name, workspace, destination)
            return self._secrets.read(name, workspace)

        # A trace that begins here has no parent, so that there is no X-Parent-Span-ID to tell.
        context = [("traceparent", f"00-{trace_id}-{span_id}-01"), ("X-Trace-ID", trace_id), ("X-Span-ID", span_id)]
        timeout_s = saved.timeout.seconds
        if isinstance(saved.request, GrpcRequest):
            metadata = [(name, with_secrets(text, secret)) for name, text in saved.request.metadata.items()]
            metadata += [(name.lower(), value) for name, value in context]
            return await call(self._policy, self._lookup, self._tls, saved.request, metadata, timeout_s)
        prepared = prepare(saved.request, secret, _AGENT)
        outlet = Outlet(self._policy, self._lookup, partial(current_client_context, self._tls, "extensions.load_tests.tls"))
        return await exchange(outlet, prepared, context, timeout_s, saved.follow_redirects)


def _fault(saved: SavedRequest, told: Exchange) -> str:
    """Why an answer is no success; empty when it is one."""
    status = told.status
    if isinstance(saved.request, GrpcRequest):
        name = _GRPC_NAMES.get(status, str(status))
        if name != saved.request.expected_status:
            return f"status {name}"
        saved = saved.model_copy(update={"expectations": saved.expectations.model_copy(update={"status": ("200",)})})
        status = 200
    judge = Judge(saved.expectations, no_errors=saved.request.kind == "graphql")
    return judge.judge(status, told.timings.total, told.body)
