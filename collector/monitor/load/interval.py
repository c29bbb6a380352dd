"""What became of the requests that ended within about a second: recorded as columns, and summed up once."""

from __future__ import annotations

import heapq
import time
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from collector import sketch
from collector.monitor.failures.injecting import Injection
from collector.monitor.load.lane import Answer

K = TypeVar("K")

SLOWEST: Final = 20
"""So many of the slowest requests are named, in each interval and in a result."""
STRUCK: Final = 100
"""So many requests of an interval that something went wrong with on purpose get a span."""
FAILED: Final = 5
"""So many failed requests of an interval are named."""

MOST_FAILED: Final = 50
"""So many failed requests of a result are named."""

Buckets = dict[int, int]
"""A sketch (see `collector/sketch.py`): bucket → how many."""


class Named(BaseModel):
    """A request of which the trace is named. As JSON, names are in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    trace_id: str
    duration: int
    """The response time, nanoseconds."""
    cause: str
    """Why it failed; empty when it did not."""
    ended_at: int = 0
    """Nanoseconds since 1970; 0 where it is read from the store."""
    status: int = 0
    """Of HTTP, 0 without an answer; or of gRPC."""
    rule: str = ""
    """Id of the failure rule that struck it; empty for none."""
    failure: str = ""
    """Type of that failure."""


class Summary(BaseModel):
    """Sums of an interval. All times are in nanoseconds.

    The response time counts from when a request was due until its answer was whole, the service time from when it was sent. They
    differ where requests had to wait for one another: whoever looks at service times alone omits what those behind a stalled
    request went through ("coordinated omission"). Both are of all requests that were answered, well or not, or timed out.
    """

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    at: float
    """When the interval ended, in seconds from the start of the test."""
    seconds: float
    """How long it was."""
    sent: int = 0
    succeeded: int = 0
    failures: dict[str, int] = {}
    """By cause."""
    examples: dict[str, str] = {}
    """More about one failure of each cause, where there is more to be said."""
    injected: dict[str, int] = {}
    """Type of a failure on purpose → in how many requests. Causes of failures that come of it begin with `injected`."""
    statuses: dict[int, int] = {}
    """Of HTTP, or of gRPC → how many answers."""
    received_bytes: int = 0
    in_flight: int = 0
    """At the end."""
    measured: int = 0
    """How many times the sketches hold."""
    response: Buckets = {}
    response_sum: int = 0
    response_max: int = 0
    service: Buckets = {}
    service_sum: int = 0
    service_max: int = 0
    slowest: list[Named] = []
    failed: list[Named] = []
    struck: list[Named] = []
    """Some of those with which something went wrong on purpose, of the last interval only."""

    @property
    def failed_count(self) -> int:
        """How many requests failed."""
        return sum(self.failures.values())

    def add(self, later: Summary) -> None:
        """Take in the interval that follows."""
        self.at = later.at
        self.seconds += later.seconds
        self.sent += later.sent
        self.succeeded += later.succeeded
        self.received_bytes += later.received_bytes
        self.in_flight = later.in_flight
        self.struck = later.struck
        self.measured += later.measured
        self.response_sum += later.response_sum
        self.response_max = max(self.response_max, later.response_max)
        self.service_sum += later.service_sum
        self.service_max = max(self.service_max, later.service_max)
        _add(self.failures, later.failures)
        _add(self.injected, later.injected)
        _add(self.statuses, later.statuses)
        _add(self.response, later.response)
        _add(self.service, later.service)
        self.examples = {**later.examples, **self.examples}
        self.slowest = heapq.nlargest(SLOWEST, self.slowest + later.slowest, key=lambda named: named.duration)
        self.failed = (self.failed + later.failed)[:MOST_FAILED]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a request.

    Attributes:
        trace_id: 32 hexadecimal digits.
        cause: why it failed; empty when it did not.
        injection: what went wrong with it on purpose.
    """

    trace_id: bytes
    cause: str = ""
    injection: Injection | None = None

    def named(self, response: int, status: int, at: int) -> Named:
        """The request by its name.

        Args:
            response: time, nanoseconds.
            status: of HTTP or gRPC; 0 without an answer.
            at: its end, nanoseconds since 1970.
        """
        rule, failure = ("", "") if self.injection is None else (str(self.injection.rule), self.injection.failure.type)
        trace_id = self.trace_id.decode()
        return Named(
            trace_id=trace_id, duration=response, cause=self.cause, ended_at=at, status=status, rule=rule, failure=failure
        )


class Recorder:
    """Records requests of the current interval, a few numbers each."""

    def __init__(self) -> None:
        self.sent = 0
        self.injected: Counter[str] = Counter()
        self.response_times = array("q")
        self.service_times = array("q")
        self._succeeded = 0
        self._statuses: Counter[int] = Counter()
        self._received_bytes = 0
        self._failures: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._slowest: list[tuple[int, int, Named]] = []
        self._slow_from = -1
        self._failed: list[Named] = []
        self._struck: list[Named] = []

    def answered(self, response: int, service: int, answer: Answer, fate: Fate) -> None:
        """An answer came; see Summary.

        Args:
            response, service: times, nanoseconds.
        """
        status = answer.status
        self._statuses[status] += 1
        self._received_bytes += answer.nbytes
        if fate.cause:
            self._fail(fate, response, status, answer.detail)
        else:
            self._succeeded += 1
        self._measure(response, service, fate, status)
        self._note_injection(fate, response, status)

    def timed_out(self, response: int, service: int, fate: Fate) -> None:
        """No answer came in time; the times are how long was waited."""
        self._fail(fate, response)
        self._measure(response, service, fate)
        self._note_injection(fate, response)

    def failed(self, response: int, fate: Fate, example: str = "") -> None:
        """A request failed without an answer."""
        self._fail(fate, response, example=example)
        self._note_injection(fate, response)

    def _fail(self, fate: Fate, response: int, status: int = 0, example: str = "") -> None:
        self._failures[fate.cause] += 1
        if example:
            self._examples.setdefault(fate.cause, example)
        if len(self._failed) < FAILED:
            self._failed.append(fate.named(response, status, time.time_ns()))

    def _measure(self, response: int, service: int, fate: Fate, status: int = 0) -> None:
        self.response_times.append(response)
        self.service_times.append(service)
        if response > self._slow_from:
            # The number of the request tells apart those that are equally slow: what became of them has no order.
            entry = (response, len(self.response_times), fate.named(response, status, time.time_ns()))
            heapq.heappush(self._slowest, entry)
            if len(self._slowest) > SLOWEST:
                heapq.heappop(self._slowest)
                self._slow_from = self._slowest[0][0]

    def _note_injection(self, fate: Fate, response: int, status: int = 0) -> None:
        if fate.injection is not None:
            self.injected[fate.injection.failure.type] += 1
            if len(self._struck) < STRUCK:
                self._struck.append(fate.named(response, status, time.time_ns()))

    def summary(self, at_s: float, seconds: float, in_flight: int) -> Summary:
        """The sums of what was recorded."""
        response, service = _times(self.response_times), _times(self.service_times)
        return Summary(
            at=at_s,
            seconds=seconds,
            sent=self.sent,
            succeeded=self._succeeded,
            failures=dict(self._failures),
            injected=dict(self.injected),
            examples=self._examples,
            statuses=dict(self._statuses),
            received_bytes=self._received_bytes,
            in_flight=in_flight,
            measured=len(response),
            response=_buckets(response),
            response_sum=int(response.sum()),
            response_max=int(response.max(initial=0)),
            service=_buckets(service),
            service_sum=int(service.sum()),
            service_max=int(service.max(initial=0)),
            slowest=[named for _, _, named in sorted(self._slowest, reverse=True)],
            failed=self._failed,
            struck=self._struck,
        )


def _add(counts: dict[K, int], more: Mapping[K, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def _times(recorded: array[int]) -> NDArray[np.uint64]:
    return np.frombuffer(recorded, np.int64).astype(np.uint64)


def _buckets(times: NDArray[np.uint64]) -> Buckets:
    buckets, counts = np.unique(sketch.buckets_of(times), return_counts=True)
    return dict(zip(buckets.tolist(), counts.tolist(), strict=True))
