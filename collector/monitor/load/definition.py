"""What a load test is, as people describe it, and what its generator is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final

from pydantic import Field, ValidationInfo, field_validator, model_validator

from collector.control.objects import Kind, ObjectModel
from collector.control.versions import Stored
from collector.egress.destination import read_url
from collector.monitor.expectations import Expectations
from collector.monitor.failures.rules import FailureRule
from collector.monitor.load.plan import GrpcPlan, HttpPlan, Plan, StopConditions, rules_of
from collector.monitor.requests.description import subject_of
from collector.monitor.requests.request import AnyRequest, GrpcRequest, prepare, server_name_of, with_secrets
from config.load_tests import LoadTestsExtension
from config.values import Duration

_AGENT: Final = "spanhouse-load-test"
_ONE_SECOND: Final = Duration.parse("1s")
_LONGEST_TIMEOUT: Final = Duration.parse("10m")


class LoadTest(ObjectModel):
    """What is sent, how often, until when, and what counts as a success."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """By which people know it."""
    request: AnyRequest
    """What is sent again and again, each time with a trace context of its own."""
    service: Annotated[str, Field(max_length=256)] = ""
    """The name of the service that is asked, as failure rules have it; the host of the URL where it is empty."""
    expectations: Expectations = Expectations()
    """What an answer must be like to count as a success."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 1
    """So many senders, each of which sends when its last request was answered (closed model). With `rate`, at most so many
    requests in flight."""
    rate: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Requests a second, sent by the clock, however long answers take (open model)."""
    requests: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """The test ends after so many requests."""
    duration: Duration | None = None
    """The test ends after so long. One of this and `requests` is needed."""
    ramp_up: Duration = Duration(0)
    """Within this time, senders begin one after the other, or the rate rises evenly from nothing."""
    timeout: Duration = Duration.parse("10s")
    """How long a request may take, connecting included."""
    stop_when: StopConditions = StopConditions()
    """When the test ends before its time."""

    @field_validator("timeout")
    @classmethod
    def _possible(cls, value: Duration) -> Duration:
        if not 0 < value <= _LONGEST_TIMEOUT:
            raise ValueError("must be longer than 0s, and at most 10m")
        return value

    @field_validator("ramp_up")
    @classmethod
    def _within(cls, value: Duration, info: ValidationInfo) -> Duration:
        duration = info.data.get("duration")
        if duration is not None and value > duration:
            raise ValueError("must not be longer than duration")
        return value

    @model_validator(mode="after")
    def _ends(self) -> LoadTest:
        if self.requests is None and self.duration is None:
            raise ValueError("must have requests, duration, or both")
        if self.duration is not None and self.duration < _ONE_SECOND:
            raise ValueError("must have a duration of at least 1s")
        return self


LOAD_TESTS: Final = Kind("load_test", LoadTest, lambda test: test.name)


def beyond_limits(test: LoadTest, limits: LoadTestsExtension) -> list[tuple[str, object, str]]:
    """What a test wants beyond what is allowed: field, value, and what would be right."""
    found: list[tuple[str, object, str]] = []
    if test.concurrency > limits.max_concurrency:
        found.append(("concurrency", test.concurrency, f"must be at most {limits.max_concurrency}, the max_concurrency here"))
    if test.rate is not None and test.rate > limits.max_rate:
        found.append(("rate", test.rate, f"must be at most {limits.max_rate:g}, the max_rate here"))
    for name, length in (("duration", test.duration), ("rampUp", test.ramp_up)):
        if length is not None and length > limits.max_duration:
            found.append((name, str(length), f"must be at most {limits.max_duration}, the max_duration here"))
    return found


def sent_by(test: LoadTest, secret: Callable[[str], str]) -> HttpPlan | GrpcPlan:
    """What its generator is told to send.

    Args:
        secret: the value of a secret's name; what it raises goes through.
    """
    request = test.request
    if isinstance(request, GrpcRequest):
        metadata = tuple((name, with_secrets(text, secret)) for name, text in request.metadata.items())
        authority = read_url(request.url).host_port_subcomponent or ""
        return GrpcPlan(
            authority=authority,
            method=request.method,
            metadata=metadata,
            message=request.message,
            descriptors=request.descriptors,
            expected_status=request.expected_status,
        )
    prepared = prepare(request, secret, _AGENT)
    return HttpPlan(
        method=prepared.method,
        target=prepared.url.raw_path_qs,
        headers=prepared.headers,
        body=prepared.body,
        no_errors=prepared.no_errors,
    )


def plan_of(
    test: LoadTest,
    request: HttpPlan | GrpcPlan,
    addresses: Sequence[tuple[str, int]],
    limits: LoadTestsExtension,
    rules: Sequence[Stored[FailureRule]],
) -> Plan:
    """What a generator is told.

    Args:
        request: what of it is sent.
        addresses: of its target, which were checked.
        limits: within which the test is.
        rules: of what fails on purpose.
    """
    return Plan(
        request=request,
        addresses=tuple(addresses),
        server_name=server_name_of(read_url(test.request.url)),
        tls=limits.tls,
        expectations=test.expectations,
        concurrency=test.concurrency,
        rate=test.rate,
        max_rate=limits.max_rate,
        requests=test.requests,
        duration_s=(test.duration or limits.max_duration).seconds,
        ramp_up_s=test.ramp_up.seconds,
        timeout_s=test.timeout.seconds,
        stop=test.stop_when,
        subject=subject_of(test.request, test.service),
        rules=rules_of(rules),
    )
