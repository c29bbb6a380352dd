"""Spans to another collector: one request for each workspace, as OTLP.

The other side knows no names of batches: what it has taken without our hearing of it is there twice when it is sent again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import structlog

from exporters.base import ExportError, Outlook, PartialSuccess, WholeBatch
from exporters.otlp.transport import Transport
from exporters.workspaces import by_workspace
from proto.otlp_encode import Encoder
from proto.span_columns import DEFAULT_WORKSPACE
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request(WholeBatch):
    """One request; sent again, it is the same bytes.

    Attributes:
        body: as the transport has packed it. Over gRPC the library compresses it later on, so `nbytes` is more than is sent.
        headers: besides those of every request.
    """

    transport: Transport
    body: bytes
    headers: Mapping[str, str]

    @property
    def nbytes(self) -> int:
        return len(self.body)

    async def send(self, timeout_s: float) -> PartialSuccess | None:
        return await self.transport.send(self.body, self.headers, timeout_s)


class OtlpExporter:
    """Sends spans to one peer.

    Args:
        transport: how requests get there; whoever made it closes it.
        workspace_header: which header tells the workspace of spans, in lower case; empty for none. Spans of the default workspace
            go without, so that a peer may put them where it puts those of its other clients.
        executor: threads in which requests are written and compressed.
    """

    def __init__(self, transport: Transport, workspace_header: str, executor: Executor) -> None:
        self._transport = transport
        self._workspace_header = workspace_header
        self._executor = executor

    async def open(self) -> None:
        """There is nothing to make ready."""

    async def prepare(self, batch: SpanBatch, name: str) -> Sequence[Request]:
        """The requests of a batch: one, or one for each workspace where the peer is told of workspaces. Raises ExportError."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._requests, batch, name)
        except MemoryError:
            # That is no fault of the spans.
            raise
        except Exception as error:
            _log.exception("spans_not_encoded", spans=len(batch))
            raise ExportError(f"{type(error).__name__}: {error}", "encoding_failed", Outlook.NEVER, of_content=True) from error

    def _requests(self, batch: SpanBatch, name: str) -> list[Request]:
        if not self._workspace_header:
            return [self._request(batch, name, {})]
        parts = list(by_workspace(batch))
        return [
            self._request(
                spans,
                # Where there is one workspace its spans have the name for themselves, which must not grow with every halving: it
                # becomes that of files.
                name if workspace == DEFAULT_WORKSPACE or len(parts) == 1 else f"{name}-{workspace}",
                {} if workspace == DEFAULT_WORKSPACE else {self._workspace_header: workspace},
            )
            for workspace, spans in parts
        ]

    def _request(self, batch: SpanBatch, name: str, headers: Mapping[str, str]) -> Request:
        return Request(batch, name, self._transport, self._transport.pack(_of_thread.encoder.encode(batch)), headers)


class _OfThread(threading.local):
    """What a thread uses again for each batch."""

    def __init__(self) -> None:
        self.encoder = Encoder()


_of_thread = _OfThread()
