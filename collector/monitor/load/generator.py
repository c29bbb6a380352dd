"""The load generator: keeps lanes busy by the clock or one request after the other, and sums up what became of them.

Callbacks throughout, and nothing is made per request but its bytes: a task or a future each would cost more than the request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import BaseModel

from collector.control.versions import Stored
from collector.monitor.expectations import SLOWER
from collector.monitor.failures.injecting import Injection, Injector
from collector.monitor.failures.rules import ErrorAnswer, TimeOut
from collector.monitor.load.interval import Fate, Recorder, Summary
from collector.monitor.load.lane import Lane
from collector.monitor.load.plan import Plan, Rule
from collector.monitor.load.schedule import Arrivals, first_due_s
from collector.monitor.load.sending import Sending
from collector.monitor.load.stopping import Watch

_SECOND: Final = 10**9
_INTERVAL_S: Final = 1.0
_SWEEP_S: Final = 0.05
_PAUSE_S: Final = 0.1
"""A lane that cannot connect waits so long, as a server that is down answers sooner than one that works."""
_GRAIN: Final = 2 * 10**6
"""Timers of the event loop come up to a millisecond late, and then one more may pass; that is no delay of the server's."""
_BURST: Final = 5 * 10**6
"""Within so many nanoseconds the greatest rate may be exceeded, so that timers need not be exact."""

State = Literal["completed", "stopped", "cancelled"]


class End(BaseModel):
    """How a test ended.

    Attributes:
        state: as planned; by a stop condition; or because somebody wanted it.
        reason: of a stop condition.
        unanswered: requests that were in flight then and are counted neither as successes nor as failures.
    """

    state: State
    reason: str = ""
    unanswered: int = 0


class Generator:
    """Runs one plan.

    Args:
        plan: how often to send, until when, and what fails on purpose.
        sending: how requests travel, and how answers are judged.
        emit: is told the sums of each second.
    """

    def __init__(self, plan: Plan, sending: Sending, emit: Callable[[Summary], None]) -> None:
        self._plan = plan
        self._emit = emit
        self._sending = sending
        self._judge = sending.judge
        self._lanes = [sending.lane(self) for _ in range(plan.concurrency)]
        self._idle: list[Lane] = []
        self._arrivals = Arrivals(plan.rate, plan.ramp_up_s) if plan.rate is not None else None
        self._most = plan.requests if plan.requests is not None else 2**63
        self._timeout = int(plan.timeout_s * _SECOND)
        self._least_gap = int(_SECOND / plan.max_rate)
        self._paid_until = 0
        self._watch = Watch(plan.stop)
        self._rules = plan.rules
        self._injector: Injector | None = None
        self._recorder = Recorder()
        self._started = self._interval_from = 0
        self._begun = 0
        self._due = 0
        self._in_flight = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._end: End | None = None
        self._finished = asyncio.Event()

    def follow(self, rules: tuple[Rule, ...]) -> None:
        """Let go wrong from now on what these rules say."""
        self._rules = rules
        self._look_at_rules()

    def _look_at_rules(self) -> None:
        """Which rules count now: they begin and end by the clock."""
        self._injector = None
        if self._rules and (subject := self._plan.subject) is not None:
            stored = [Stored.first(rule.id, "", rule.settings, "", rule.created_at) for rule in self._rules]
            self._injector = Injector(stored, subject, datetime.now(UTC)) or None

    def cancel(self) -> None:
        """End the test now, without waiting for answers."""
        if self._end is None:
            self._end = End(state="cancelled")
        self._finished.set()

    async def run(self) -> End:
        """Run the test to its end."""
        loop = asyncio.get_running_loop()
        self._look_at_rules()
        self._started = self._interval_from = self._due = time.monotonic_ns()
        timer = loop.call_later(self._plan.duration_s, self._end_with, End(state="completed"))
        if self._arrivals is not None:
            self._idle = self._lanes[::-1]
            self._wake()
        else:
            for number, lane in enumerate(self._lanes):
                loop.call_later(first_due_s(number, len(self._lanes), self._plan.ramp_up_s), self._start, lane)
        sweeper = asyncio.create_task(self._sweep())
        try:
            while not self._finished.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._finished.wait(), self._seconds_to_interval_end())
                self._sum_up()
        finally:
            timer.cancel()
            sweeper.cancel()
            unanswered = self._in_flight
            self._end_with(End(state="completed"))
            for lane in self._lanes:
                lane.give_up()
        assert self._end is not None  # noqa: S101 - it was set above, if not before
        return self._end.model_copy(update={"unanswered": unanswered})

    def answered(self, lane: Lane) -> None:
        """A lane has an answer."""
        now = time.monotonic_ns()
        answer, service = lane.answer, now - lane.sent_at
        cause = self._judge.judge(answer.status, service, answer.body)
        if lane.struck is not None and cause == SLOWER:
            cause = _injected(cause)
        fate = Fate(lane.trace_id, cause, lane.struck)
        self._recorder.answered(now - lane.due, service, answer, fate)
        self._in_flight -= 1
        self._next(lane, now)

    def failed(self, lane: Lane, cause: str, example: str = "") -> None:
        """A lane has none."""
        now = time.monotonic_ns()
        self._recorder.failed(now - lane.due, Fate(lane.trace_id, cause, lane.struck), example)
        self._in_flight -= 1
        if cause in ("connect", "tls") and not self._is_over():
            asyncio.get_running_loop().call_later(_PAUSE_S, self._start, lane)
        else:
            self._next(lane, now)

    def injection(self, trace_id: bytes) -> Injection | None:
        """What goes wrong on purpose in a trace."""
        return None if self._injector is None else self._injector.draw(bytes.fromhex(trace_id.decode()))

    def injected(self, lane: Lane, injection: Injection) -> None:
        """A lane's request has ended on purpose."""
        now = time.monotonic_ns()
        response, service = now - lane.due, now - lane.sent_at
        fate = Fate(lane.trace_id, _injected(injection.failure.type), injection)
        match injection.failure:
            case ErrorAnswer(status=status, message=message):
                answer = self._sending.error(status, message)
                cause = _injected(self._judge.judge(answer.status, service, answer.body))
                self._recorder.answered(response, service, answer, replace(fate, cause=cause))
            case TimeOut():
                self._recorder.timed_out(response, service, fate)
            case _:
                self._recorder.failed(response, fate)
        self._in_flight -= 1
        self._next(lane, now)

    def _start(self, lane: Lane) -> None:
        self._next(lane, time.monotonic_ns())

    def _next(self, lane: Lane, now: int) -> None:
        """Let a free lane send what is due, or wait for it."""
        if self._is_over():
            if not self._in_flight:
                self._finished.set()
        elif self._arrivals is None:
            self._begin_paced(lane, now)
        elif self._is_due(now):
            self._begin_due(lane, now)
        else:
            self._idle.append(lane)
            self._set_alarm(now)

    def _is_over(self) -> bool:
        return self._end is not None or self._begun >= self._most

    def _begin_paced(self, lane: Lane, now: int) -> None:
        ahead = self._paid_until - now
        if ahead > _BURST:
            asyncio.get_running_loop().call_later(ahead / _SECOND, self._start, lane)
        else:
            self._paid_until = max(self._paid_until, now) + self._least_gap
            self._begin(lane, now, now)

    def _begin_due(self, lane: Lane, now: int) -> None:
        assert self._arrivals is not None  # noqa: S101 - who asks knows
        due = self._due if now - self._due > _GRAIN else now
        self._begin(lane, due, now)
        self._due = self._started + int(self._arrivals.due_s(self._begun) * _SECOND)

    def _begin(self, lane: Lane, due: int, now: int) -> None:
        self._begun += 1
        self._in_flight += 1
        self._recorder.sent += 1
        lane.begin(due, now, self._timeout)

    def _is_due(self, now: int) -> bool:
        """Whether another request is; what would be due at the end of the test, or later, is not part of it."""
        return self._due <= now and self._due - self._started < self._plan.duration_s * _SECOND

    def _wake(self) -> None:
        """Give idle lanes what is due."""
        self._alarm = None
        now = time.monotonic_ns()
        while self._idle and self._is_due(now) and not self._is_over():
            # The one that was busy last, so that of many connections no more are open than needed.
            self._begin_due(self._idle.pop(), now)
        if self._idle and not self._is_over():
            self._set_alarm(now)

    def _set_alarm(self, now: int) -> None:
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(max((self._due - now) / _SECOND, 0.001), self._wake)

    def _end_with(self, end: End) -> None:
        """Begin no more requests; the test ends with the answers of those in flight."""
        if self._end is None:
            self._end = end
        if not self._in_flight:
            self._finished.set()

    async def _sweep(self) -> None:
        """Give up requests that take too long."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._plan.timeout_s / 10))
            now = time.monotonic_ns()
            for lane in self._lanes:
                if lane.busy and lane.deadline < now:
                    waited = now - lane.due
                    lane.give_up()
                    fate = Fate(lane.trace_id, _injected("timeout") if lane.struck else "timeout", lane.struck)
                    self._recorder.timed_out(waited, now - lane.sent_at if lane.sent_at else waited, fate)
                    self._in_flight -= 1
                    self._next(lane, now)

    def _seconds_to_interval_end(self) -> float:
        return max(self._interval_from / _SECOND + _INTERVAL_S - time.monotonic_ns() / _SECOND, 0)

    def _sum_up(self) -> None:
        now = time.monotonic_ns()
        recorder, self._recorder = self._recorder, Recorder()
        summary = recorder.summary((now - self._started) / _SECOND, (now - self._interval_from) / _SECOND, self._in_flight)
        self._interval_from = now
        self._emit(summary)
        self._look_at_rules()
        if self._end is None and (reason := self._watch.reason_to_stop(summary)):
            self._end_with(End(state="stopped", reason=reason))


def _injected(cause: str) -> str:
    """What a cause is called where it is a failure on purpose; nothing is called nothing."""
    return f"injected {cause}" if cause else ""
