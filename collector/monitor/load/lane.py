"""One sender: at most one request in flight. How requests travel, its kinds say (`http_lane.py`, `grpc_lane.py`)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Protocol

from collector.monitor.failures.injecting import Injection
from collector.monitor.failures.rules import AddedLatency
from collector.monitor.load.message import TraceIds

_SOONEST_S: Final = 0.001


class Answer(Protocol):
    """What came of a request.

    Attributes:
        status: of HTTP, or of gRPC.
        body: as far as it is kept.
        nbytes: how much was read.
        detail: more about the status, where the server says more.
    """

    status: int
    nbytes: int
    detail: str

    @property
    def body(self) -> bytes | bytearray: ...


@dataclass(slots=True)
class PlainAnswer:
    """An answer whose parts are known at once; see Answer."""

    status: int = 0
    body: bytes = b""
    detail: str = ""
    nbytes: int = 0


class Owner(Protocol):
    """Who is told what became of a lane's request; the lane is free by then."""

    def answered(self, lane: Lane) -> None:
        """An answer has been read; it is in the lane's reader."""

    def failed(self, lane: Lane, cause: str, example: str = "") -> None:
        """There is none."""

    def injection(self, trace_id: bytes) -> Injection | None:
        """What goes wrong on purpose with the request of a trace, 32 hexadecimal digits."""

    def injected(self, lane: Lane, injection: Injection) -> None:
        """The request ends by a failure on purpose, and was not sent."""


class Lane(ABC):
    """Sends one request after another; see the module.

    Args:
        owner: is told what becomes of them.
        trace_ids: draws those of the requests.

    Attributes:
        answer: to the request.
        trace_id: of the request, 32 hexadecimal digits.
        due: when it was due, nanoseconds of the monotonic clock.
        sent_at: when it was sent; 0 while the connection is being made.
        deadline: when it is given up.
        busy: whether there is one.
        struck: what goes wrong with it on purpose; None for nothing.
    """

    answer: Answer

    def __init__(self, owner: Owner, trace_ids: TraceIds) -> None:
        self.owner = owner
        self._trace_ids = trace_ids
        self.trace_id = b""
        self.due = self.sent_at = self.deadline = 0
        self.busy = False
        self.struck: Injection | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, due: int, now: int, timeout: int) -> None:
        """Send a request. Times are nanoseconds of the monotonic clock."""
        self.trace_id = self._trace_ids.draw()
        self.due, self.sent_at, self.deadline = due, now, now + timeout
        self.busy = True
        self.struck = self.owner.injection(self.trace_id)
        if self.struck is None:
            self._send()
        else:
            self._strike(self.struck)

    def give_up(self) -> None:
        """Wait no longer for the answer, which is not taken for that of another request if it comes all the same."""
        self.busy = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._drop()

    @abstractmethod
    def _send(self) -> None:
        """Send the request, and let the owner know what comes of it."""

    @abstractmethod
    def _drop(self) -> None:
        """Forget the request that is in flight, if one is."""

    def _is_not_sent_yet(self) -> None:
        """There is no connection. Where the request was kept waiting on purpose, that is the server's time all the same."""
        if self.struck is None:
            self.sent_at = 0

    def _strike(self, injection: Injection) -> None:
        """Let go wrong what should: as if it were the server's doing, so that the times have it too."""
        # Not at once even where nothing is waited for: answers of a server would not come that soon either.
        delay_s = max(injection.delay / 1e9, _SOONEST_S)
        is_late_only = isinstance(injection.failure, AddedLatency)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._send_late if is_late_only else self._end_struck)

    def _send_late(self) -> None:
        self._timer = None
        self._send()

    def _end_struck(self) -> None:
        self._timer = None
        self.busy = False
        assert self.struck is not None  # noqa: S101 - or there were no timer
        self.owner.injected(self, self.struck)
