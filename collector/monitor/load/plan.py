"""What the load generator is told to do. Everything in it was checked by who tells it: it asks nobody where it may send."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from collector.control.objects import ObjectModel
from collector.control.versions import Stored
from collector.monitor.expectations import Expectations
from collector.monitor.failures.injecting import Request as Subject
from collector.monitor.failures.rules import FailureRule
from config.tls import ClientTls
from config.values import Share

_MODEL: Final = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="base64", val_json_bytes="base64")


class StopConditions(ObjectModel):
    """When a test ends before its time, so that what is down is not beaten further."""

    error_share_above: Share | None = None
    """More than this share of the requests of the last five seconds failed, of at least 20."""
    p99_above_ms: Annotated[float, Field(gt=0, le=3_600_000)] | None = None
    """The 99th percentile of the response times of the last five seconds is above this, of at least 20 requests, in
    milliseconds."""
    failures: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """So many requests have failed."""


class HttpPlan(BaseModel):
    """What is sent over HTTP."""

    model_config = _MODEL

    kind: Literal["http"] = "http"
    method: str
    target: str
    """Path and query."""
    headers: tuple[tuple[str, str], ...]
    """With `Host`."""
    body: bytes = b""
    no_errors: bool = False
    """Whether a body must be a GraphQL answer without errors."""


class GrpcPlan(BaseModel):
    """What is called over gRPC."""

    model_config = _MODEL

    kind: Literal["grpc"] = "grpc"
    authority: str
    """Whom the call is for: the host of the URL, with its port."""
    method: str
    """The full name of the service, a slash, and the name of the method."""
    metadata: tuple[tuple[str, str], ...] = ()
    message: Mapping[str, Any] = {}
    """In the JSON form of protobuf."""
    descriptors: bytes = b""
    """A `FileDescriptorSet`; the server is asked where it is empty."""
    expected_status: str = "OK"


class Rule(BaseModel):
    """A failure rule. The generator is told anew of all of them, as a line of JSON, whenever one changes."""

    id: uuid.UUID
    created_at: int
    settings: FailureRule


RULES: Final = TypeAdapter(tuple[Rule, ...])
"""Reads and writes such a line."""


def rules_of(stored: Iterable[Stored[FailureRule]]) -> tuple[Rule, ...]:
    """Rules as the generator is told of them."""
    return tuple(Rule(id=each.id, created_at=each.created_at, settings=each.settings) for each in stored)


class Plan(BaseModel):
    """A test, ready to be run. As JSON it is the first line that the generator reads."""

    model_config = _MODEL

    request: Annotated[HttpPlan | GrpcPlan, Field(discriminator="kind")]
    addresses: Annotated[tuple[tuple[str, int], ...], Field(min_length=1)]
    """IP addresses and ports, which are used in turn; names are not resolved."""
    server_name: str = ""
    """Whose certificate the server must show; empty for clear text."""
    tls: ClientTls = ClientTls()
    expectations: Expectations = Expectations()
    concurrency: Annotated[int, Field(ge=1)] = 1
    """So many senders (closed model), or at most so many requests in flight (open model)."""
    rate: Annotated[float, Field(gt=0)] | None = None
    """Requests a second: the open model."""
    max_rate: Annotated[float, Field(gt=0)]
    """In the closed model, no more requests a second than this."""
    requests: Annotated[int, Field(ge=1)] | None = None
    """The test ends after so many requests."""
    duration_s: Annotated[float, Field(gt=0)]
    """The test ends after so long."""
    ramp_up_s: Annotated[float, Field(ge=0)] = 0.0
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Of one request, connecting included."""
    stop: StopConditions = StopConditions()
    subject: Subject | None = None
    """The request, as failure rules are asked about it; needed where there are any."""
    rules: tuple[Rule, ...] = ()
    """What fails on purpose; later ones take their place."""
