"""How the requests of a test travel: what makes its senders, and judges what they are answered."""

from __future__ import annotations

from typing import Final, Protocol

from collector.monitor.expectations import Judge
from collector.monitor.load.http_lane import HttpLane, Route
from collector.monitor.load.lane import Answer, Lane, Owner, PlainAnswer
from collector.monitor.load.message import Message, TraceIds
from collector.monitor.load.plan import HttpPlan, Plan
from collector.monitor.load.response import AnswerReader
from collector.tls import current_client_context

TLS_SETTING: Final = "extensions.load_tests.tls"


class Sending(Protocol):
    """What all senders of a test have in common.

    Attributes:
        judge: of answers.
    """

    judge: Judge

    def lane(self, owner: Owner) -> Lane:
        """One sender more."""

    def error(self, status: int, message: str) -> Answer:
        """The answer of a server that fails with a status of HTTP, or with what that means over gRPC."""

    async def close(self) -> None:
        """End what the senders share, when they have ended."""


class HttpSending:
    """Requests over HTTP/1.1.

    Args:
        plan: of the test.
        request: what of it is sent.

    Raises:
        ValueError: it cannot be written as HTTP.
        TlsError: the files for TLS cannot be used.
    """

    def __init__(self, plan: Plan, request: HttpPlan) -> None:
        self.judge = Judge(plan.expectations, no_errors=request.no_errors)
        self._message = Message(request.method, request.target, request.headers, request.body)
        encrypts = current_client_context(plan.tls, TLS_SETTING) if plan.server_name else None
        self._route = Route(plan.addresses, encrypts, plan.tls.server_name_override or plan.server_name)
        self._trace_ids = TraceIds()
        self._without_body = request.method == "HEAD"

    def lane(self, owner: Owner) -> Lane:
        """See Sending."""
        reader = AnswerReader(keeps_body=self.judge.needs_body, without_body=self._without_body)
        return HttpLane(owner, self._trace_ids, self._message, self._route, reader)

    def error(self, status: int, message: str) -> Answer:
        """See Sending."""
        return PlainAnswer(status, message.encode())

    async def close(self) -> None:
        """Nothing is shared."""


async def open_sending(plan: Plan) -> Sending:
    """What sends the requests of a plan.

    Raises:
        ValueError: they cannot be sent; the text says why.
        TlsError: the files for TLS cannot be used.
    """
    if isinstance(plan.request, HttpPlan):
        return HttpSending(plan, plan.request)
    # Only tests that need gRPC wait until it is loaded.
    from collector.monitor.load.grpc_sending import GrpcSending

    return await GrpcSending.opened(plan, plan.request)
