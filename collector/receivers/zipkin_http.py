"""The Zipkin receiver: spans of Zipkin's API of version 2, in JSON or protobuf, answered as Zipkin does, in lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from collector.receivers.answers import Answer
from collector.receivers.http_server import HttpServer, Reply
from collector.receivers.intake import Encoding, Outcome

PATH = "/api/v2/spans"
"""Where every reporter sends spans to."""

_TEXT = "text/plain; charset=utf-8"


class ZipkinHttpServer(HttpServer):
    """Takes spans from Zipkin's reporters on one address."""

    encodings: ClassVar[Mapping[str, Encoding]] = {
        "application/x-protobuf": "zipkin protobuf",
        "application/json": "zipkin json",
        "": "zipkin json",
    }

    def success(self, outcome: Outcome, encoding: Encoding) -> Reply:
        """Empty, or what was refused: Zipkin has no form for that, so it is for people.

        The warnings name the first span that is refused as its sender does; the rejection has its place in OTLP.
        """
        return Reply(202, "; ".join(outcome.warnings).encode(), _TEXT)

    def failure(self, answer: Answer, encoding: Encoding | None) -> Reply:
        """The message."""
        return Reply(answer.http_status, answer.message.encode(), _TEXT)
