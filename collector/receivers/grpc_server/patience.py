"""How long a connection waits for its peer: for a preface, for messages, for signs of life (NET-10, NET-11, NET-13)."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from collector.errors import Refused
from collector.receivers.settings import Keepalive
from collector.tls import HANDSHAKE_TIMEOUT_S

if TYPE_CHECKING:
    from collector.receivers.grpc_server.connection import Connection

_AGE_JITTER: Final = 0.1
"""Connections that were opened together must not all end together."""

_STRIKES: Final = 2
_SELDOM_S: Final = 7200.0
"""A peer may ping so often that has no calls, where it is not allowed to do so."""


class Patience:
    """Looks after one connection with one timer, set to the first moment at which something may be due.

    Args:
        connection: which.
        keepalive: how long it may live, and when it is pinged.
        message_timeout_s: longest wait for a call's whole message.
        loop: its event loop.
    """

    def __init__(
        self, connection: Connection, keepalive: Keepalive, message_timeout_s: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connection = connection
        self._keepalive = keepalive
        self._message_timeout_s = message_timeout_s
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = math.inf
        now_s = loop.time()
        self._hello_by_s = now_s + HANDSHAKE_TIMEOUT_S
        age_s = math.inf if keepalive.max_connection_age_s is None else keepalive.max_connection_age_s
        self._old_s = now_s + age_s * random.uniform(1 - _AGE_JITTER, 1 + _AGE_JITTER)  # noqa: S311 - no secret
        self._idle_from_s = now_s
        self._is_leaving = False
        self._parts_by_s = math.inf
        self._leaves_by_s = math.inf
        self._stuck_from_s = math.inf
        self._blocked_from_s = math.inf
        self._pinged_s = -math.inf
        self._next_ping_s = -math.inf
        self._strikes = 0
        self.heard_s = now_s
        """When the peer was last heard."""

    def begin(self) -> None:
        """Look after the connection from now on."""
        self._look()

    def greeted(self) -> None:
        """The preface has come."""
        self._hello_by_s = math.inf

    def message_begins(self, began_s: float) -> None:
        """A message is to come from now on."""
        self._watch(began_s + self._message_timeout_s)

    def rests(self) -> None:
        """No call is open any more."""
        self._idle_from_s = self._loop.time()
        if self._keepalive.max_connection_idle_s is not None:
            self._watch(self._idle_from_s + self._keepalive.max_connection_idle_s)
        self._connection.rests()

    def leaves(self) -> None:
        """The peer was told to go away, and is to say that it has heard so."""
        self._is_leaving = True
        now_s = self._loop.time()
        grace_s = self._keepalive.max_connection_age_grace_s
        self._parts_by_s = now_s + self._keepalive.timeout_s
        self._leaves_by_s = now_s + (math.inf if grace_s is None else grace_s)
        self._watch(min(self._parts_by_s, self._leaves_by_s))

    def parts(self) -> None:
        """No more calls are taken."""
        self._parts_by_s = math.inf

    def closes(self) -> None:
        """The connection closes when its last bytes have been sent."""
        self._leaves_by_s = self._loop.time() + self._keepalive.timeout_s
        self._watch(self._leaves_by_s)

    def stuck(self, *, is_stuck: bool) -> None:
        """The peer does not read, or does so again."""
        self._stuck_from_s = self._loop.time() if is_stuck else math.inf
        self._watch(self._stuck_from_s + self._keepalive.timeout_s)

    @property
    def is_stuck(self) -> bool:
        """Whether the peer does not read."""
        return self._stuck_from_s < math.inf

    def blocked(self, is_blocked: bool) -> None:
        """Answers wait until the peer opens a window, or all of those have been sent."""
        self._blocked_from_s = self._loop.time() if is_blocked else math.inf
        self._watch(self._blocked_from_s + self._keepalive.timeout_s)

    def answered(self) -> None:
        """Something was sent to the peer, which may ping again."""
        self._strikes = 0
        self._next_ping_s = -math.inf

    def bears_ping(self, *, has_calls: bool) -> bool:
        """Whether the peer may ping now, as grpc's core counts it (NET-10)."""
        now_s = self._loop.time()
        early = now_s < self._next_ping_s
        self._strikes += early
        may_often = has_calls or self._keepalive.permit_without_stream
        self._next_ping_s = now_s + (self._keepalive.min_time_s if may_often else max(_SELDOM_S, self._keepalive.min_time_s))
        return self._strikes <= _STRIKES

    def stop(self) -> None:
        """The connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, due_s: float) -> None:
        """Look again at that time, or earlier."""
        if due_s < self._due_s:
            self.stop()
            self._due_s = due_s
            self._timer = self._loop.call_at(due_s, self._look)

    def _look(self) -> None:
        """Do what is due, and set the timer for what is due next."""
        self._timer, self._due_s = None, math.inf
        now_s = self._loop.time()
        connection, keepalive = self._connection, self._keepalive
        if now_s >= self._hello_by_s:
            connection.abandon(Refused(f"HTTP/2 did not begin within {HANDSHAKE_TIMEOUT_S:g} seconds", "slow_head"))
            return
        if now_s >= min(self._leaves_by_s, self._takes_by_s(), self._pinged_end_s()):
            connection.abandon()
            return
        connection.end_slow_calls(now_s - self._message_timeout_s)
        if not self._is_leaving and now_s >= min(self._old_s, self._idle_by_s()):
            connection.leave()
        if now_s >= self._parts_by_s:
            connection.part()
        if self._pinged_end_s() == math.inf and now_s >= self.heard_s + keepalive.time_s:
            self._pinged_s = now_s
            connection.ping()
        self._watch(min(self._dues()))

    def _pinged_end_s(self) -> float:
        """When the peer must have been heard since it was pinged; endless when it has been."""
        # Heard in the same millisecond counts: the daemon's event loop knows no less.
        return math.inf if self._pinged_s <= self.heard_s else self._pinged_s + self._keepalive.timeout_s

    def _takes_by_s(self) -> float:
        """When the peer must have taken what it was sent, or is to be sent; endless when it has."""
        return min(self._stuck_from_s, self._blocked_from_s) + self._keepalive.timeout_s

    def _idle_by_s(self) -> float:
        idle_s = self._keepalive.max_connection_idle_s
        return math.inf if idle_s is None or self._connection.has_calls else self._idle_from_s + idle_s

    def _dues(self) -> Iterator[float]:
        """When something may be due, as far as is known now."""
        keepalive = self._keepalive
        yield from (self._hello_by_s, self._parts_by_s, self._leaves_by_s, self._takes_by_s())
        if not self._is_leaving:
            yield from (self._old_s, self._idle_by_s())
        yield self._connection.oldest_unfinished_s + self._message_timeout_s
        pinged_end_s = self._pinged_end_s()
        yield self.heard_s + keepalive.time_s if pinged_end_s == math.inf else pinged_end_s
