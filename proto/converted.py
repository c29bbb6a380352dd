"""What requests in other encodings than OTLP's protobuf become."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConvertedRequest:
    """A request in OTLP's protobuf.

    Attributes:
        protobuf: an ExportTraceServiceRequest. Spans that are refused stand in it with an id that is none.
        warnings: what the sending service's developers should know though the request is accepted.
    """

    protobuf: bytes
    warnings: tuple[str, ...] = ()
