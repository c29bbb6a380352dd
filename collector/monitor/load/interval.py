"""What became of the requests that ended within about a second: recorded as columns, and summed up once."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from collector import sketch

K = TypeVar("K")

SLOWEST: Final = 20
"""So many of the slowest requests are named, in each interval and in a result."""
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
    """Of HTTP → how many answers."""
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
        self._slowest: list[tuple[int, bytes, str]] = []
        self._slow_from = -1
        self._failed: list[Named] = []

    def answered(self, response: int, service: int, status: int, nbytes: int, trace_id: bytes, cause: str) -> None:
        """An answer came; see Summary.

        Args:
            response, service: times, nanoseconds.
            cause: why it is a failure all the same; empty for a success.
        """
        self._statuses[status] += 1
        self._received_bytes += nbytes
        if not cause:
            self._succeeded += 1
        else:
            self.failed(cause, trace_id, response)
        self._measured(response, service, trace_id, cause)

    def timed_out(self, response: int, service: int, trace_id: bytes, cause: str = "timeout") -> None:
        """No answer came in time; the times are how long was waited."""
        self.failed(cause, trace_id, response)
        self._measured(response, service, trace_id, cause)

    def failed(self, cause: str, trace_id: bytes, response: int, example: str = "") -> None:
        """A request failed."""
        self._failures[cause] += 1
        if example:
            self._examples.setdefault(cause, example)
        if len(self._failed) < FAILED:
            self._failed.append(Named(trace_id=trace_id.decode(), duration=response, cause=cause))

    def _measured(self, response: int, service: int, trace_id: bytes, cause: str) -> None:
        self.response_times.append(response)
        self.service_times.append(service)
        if response > self._slow_from:
            heapq.heappush(self._slowest, (response, trace_id, cause))
            if len(self._slowest) > SLOWEST:
                heapq.heappop(self._slowest)
                self._slow_from = self._slowest[0][0]

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
            slowest=[
                Named(trace_id=trace_id.decode(), duration=duration, cause=cause)
                for duration, trace_id, cause in sorted(self._slowest, reverse=True)
            ],
            failed=self._failed,
        )


def _add(counts: dict[K, int], more: Mapping[K, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def _times(recorded: array[int]) -> NDArray[np.uint64]:
    return np.frombuffer(recorded, np.int64).astype(np.uint64)


def _buckets(times: NDArray[np.uint64]) -> Buckets:
    buckets, counts = np.unique(sketch.buckets_of(times), return_counts=True)
    return dict(zip(buckets.tolist(), counts.tolist(), strict=True))
