"""The OTLP/HTTP receiver: protobuf or JSON, answered in the same."""

from __future__ import annotations

from typing import ClassVar, Final

from collector.receivers.answers import Answer, success_body
from collector.receivers.http_server import HttpServer, Reply
from collector.receivers.intake import Encoding, Outcome

_ENCODINGS: Final[dict[str, Encoding]] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_MEDIA_TYPES: Final[dict[Encoding, str]] = {encoding: media_type for media_type, encoding in _ENCODINGS.items()}


class OtlpHttpServer(HttpServer):
    """Serves OTLP/HTTP on one address."""

    encodings: ClassVar = _ENCODINGS

    def success(self, outcome: Outcome, encoding: Encoding) -> Reply:
        """Empty, or what was refused."""
        body = success_body(outcome.rejection, outcome.warnings, as_json=encoding == "json")
        return Reply(200, body, _MEDIA_TYPES[encoding])

    def failure(self, answer: Answer, encoding: Encoding | None) -> Reply:
        """A Status in the request's own encoding, or in JSON when that is unknown (ERR-01, ERR-02)."""
        encoding = encoding or "json"
        return Reply(answer.http_status, answer.body(as_json=encoding == "json"), _MEDIA_TYPES[encoding])
