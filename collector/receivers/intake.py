"""What both transports do with the bytes of a request: decode, count, pass on, and keep account of what went wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeVar

import structlog

from collector.access import Caller, Gate, Headers, no_certificate
from collector.consumer import Consumer
from collector.errors import Refused, Rejection
from collector.receivers.answers import INTERNAL, Answer, answer_to
from collector.receivers.limits import WorkspaceLimits
from collector.receivers.placement import amounts, place
from collector.spaced_log import SpacedLog
from exporters.tally import owner_of_resource, spans_by_owner
from proto.converted import ConvertedRequest
from proto.otlp_decode import Decoder, decode
from proto.otlp_json import json_to_protobuf
from proto.spans import SpanBatch
from proto.zipkin import zipkin_json_to_otlp, zipkin_protobuf_to_otlp

Encoding = Literal["protobuf", "json", "zipkin protobuf", "zipkin json"]
"""How a request is written: OTLP's two encodings, and Zipkin's."""

_CONVERTERS: Final[Mapping[Encoding, Callable[[bytes], ConvertedRequest]]] = {
    "json": json_to_protobuf,
    "zipkin protobuf": zipkin_protobuf_to_otlp,
    "zipkin json": zipkin_json_to_otlp,
}
"""What makes OTLP protobuf of the other encodings."""

LARGEST_INLINE_BYTES: Final = 256 << 10
"""Larger requests are decoded in a thread. Handing over costs about 0.1 ms, decoding this much on the spot less than 1 ms (JSON:
2 ms), and an SDK's usual batch of 512 spans is smaller."""

T = TypeVar("T")


class ReceiverTelemetry(Protocol):
    """Where receivers count. `transport` is "grpc" or "http"."""

    def accepted(self, receiver: str, transport: str, spans: int, size: int) -> None:
        """A request was taken: so many spans, so many bytes of protobuf."""

    def refused(self, receiver: str, transport: str, reason: str, spans: int) -> None:
        """Spans of a taken request were refused, for one reason."""

    def failed(self, receiver: str, transport: str, kind: str) -> None:
        """A request was not taken; `kind` is a row of the answers table."""

    def throttled(self, receiver: str, workspace: str, reason: str) -> None:
        """A request of a workspace was told to come later: `bytes` or `spans` over its limit, or `share` over its fair one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A request that was taken.

    Attributes:
        rejection: spans of it that were refused; None when all went in.
        warnings: sentences about what went in but looks wrong.
    """

    rejection: Rejection | None = None
    warnings: tuple[str, ...] = ()


TAKEN: Final = Outcome()


class Intake:
    """Takes requests of one transport and gives their spans to a consumer.

    Args:
        consumer: who takes responsibility for the spans.
        telemetry: where to count.
        pool: threads that decode large requests; shared by the transports.
        transport: "grpc" or "http".
        receiver: id of the receiver in the configuration.
        monotonic: seconds of a clock that never goes back; spaces log lines.
        gate: who may send, and into which workspace; everybody when None.
        limits: how much each workspace may send; None for any amount.
        workspace_attribute: the resource attribute that names the workspace of its spans; empty for none.
        decoder: of requests that are not large; shared by all who give to the consumer.
    """

    def __init__(
        self,
        consumer: Consumer,
        telemetry: ReceiverTelemetry,
        pool: ThreadPoolExecutor,
        transport: Literal["grpc", "http"],
        receiver: str = "otlp",
        monotonic: Callable[[], float] = time.monotonic,
        *,
        gate: Gate | None = None,
        limits: WorkspaceLimits | None = None,
        workspace_attribute: str = "",
        decoder: Decoder | None = None,
    ) -> None:
        self._consumer = consumer
        self._telemetry = telemetry
        self._pool = pool
        self._transport = transport
        self._receiver = receiver
        self._gate = gate or Gate("ingest")
        self._limits = limits
        self._workspace_attribute = workspace_attribute.encode()
        # Resources that are to be told apart are in tables of their own.
        self._decode = decode if workspace_attribute else (decoder or Decoder()).decode
        self._log = SpacedLog(structlog.get_logger(__name__).bind(receiver=receiver, transport=transport), monotonic)

    def admit(self, headers: Headers, certificate: Callable[[], Iterable[str]] = no_certificate) -> Caller:
        """Let a request in by its head, before its body is read; see `Gate.admit`.

        Raises:
            Refused: it may not come in, or not now.
            Retryable: nobody's request could be taken now.
        """
        caller = self._gate.admit(headers, certificate)
        self._consumer.check_open()
        if self._limits is not None:
            self._limits.check(caller.workspace)
        return caller

    async def take(self, body: bytes, encoding: Encoding, caller: Caller) -> Outcome:
        """Decode one uncompressed request and pass its valid spans on.

        Returning means that the consumer has taken responsibility for every span that the outcome does not list as refused.

        Raises:
            proto.errors.MalformedRequest: the bytes are not a request; nothing was passed on.
            collector.errors.Permanent, collector.errors.Retryable: the consumer did not take the spans.
        """
        warnings: tuple[str, ...] = ()
        convert = _CONVERTERS.get(encoding)
        if convert is not None:
            converted = await self.in_pool(convert, body) if len(body) > LARGEST_INLINE_BYTES else convert(body)
            body, warnings = converted.protobuf, converted.warnings
        if len(body) <= LARGEST_INLINE_BYTES:
            decoded = self._decode(body, caller.workspace)
        else:
            decoded = await self.in_pool(decode, body, caller.workspace)
        batch = decoded.batch
        if self._workspace_attribute:
            batch, misplaced = place(batch, self._workspace_attribute, caller)
            warnings = (*warnings, *misplaced)
        if decoded.rejected:
            # Of several resources nobody knows which had the spans.
            resources = batch.own_resources
            owner = owner_of_resource(batch, resources[0]) if len(resources) == 1 else caller.workspace
            for reason, refused in decoded.rejected.items():
                self._consumer.refused(owner, reason, refused)
        sent = amounts(batch, len(body)) if self._limits is not None else {}
        if self._limits is not None and self._workspace_attribute:
            self._check_workspaces(sent, batch, self._limits)
        spans = len(batch.spans)
        if spans:
            await self._consumer.consume(batch)
        if self._limits is not None:
            for workspace, (size, number) in sent.items():
                self._limits.charge(workspace, size, number)
        self._telemetry.accepted(self._receiver, self._transport, spans, len(body))
        if not decoded.rejected and not warnings:
            return TAKEN
        for warning in warnings:
            self._log.warning("request_taken", reason="warning", warning=warning)
        return Outcome(self._rejection(decoded.rejected, spans, decoded.first_rejected), warnings)

    def _check_workspaces(self, workspaces: Iterable[str], batch: SpanBatch, limits: WorkspaceLimits) -> None:
        """Find out whether each workspace may send now, of which all spans are in the batch. Raises Refused."""
        try:
            for workspace in workspaces:
                limits.check(workspace)
        except Refused as error:
            for owner, spans in spans_by_owner(batch).items():
                self._consumer.refused(owner, error.kind, spans)
            raise

    def failed(self, error: Exception) -> Answer:
        """Count and log why a request was not taken, and give the answer for its sender."""
        answer = answer_to(error)
        self._telemetry.failed(self._receiver, self._transport, answer.kind)
        if answer.kind == INTERNAL:
            self._log.unexpected("request_failed", error)
        else:
            self._log.warning("request_not_taken", reason=answer.kind, message=answer.message, field=answer.field)
        return answer

    async def in_pool(self, work: Callable[..., T], *args: Any) -> T:
        """Run work that takes long and frees the interpreter, such as decompression, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def _rejection(self, rejected: Mapping[str, int], accepted: int, first: str) -> Rejection | None:
        if not rejected:
            return None
        for reason, spans in rejected.items():
            self._telemetry.refused(self._receiver, self._transport, reason, spans)
        counts = dict(rejected)
        reasons = ", ".join(f"{reason}: {spans}" for reason, spans in counts.items())
        total = sum(counts.values())
        message = f"{total} of {total + accepted} spans refused ({reasons}); the first at {first}"
        self._log.warning("spans_refused", reason=min(counts), message=message)
        return Rejection(counts, message)
