"""Having a client wait for its calls to be let in before it sends what they carry, while calls are being refused.

A client whose windows are wide sends a call's head and its message together, and the bytes of a call that is refused come all the
same. To read them, only to throw them away, would be most of what a refusal costs, at a time when there is too much to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from collector.receivers.grpc_server.call import Call
from collector.receivers.grpc_server.frames import INITIAL_WINDOW_SIZE, settings_frame, window_update
from collector.receivers.grpc_server.outgoing import Outgoing

WINDOW: Final = (1 << 30) - 1
"""Bytes that a call may carry. When the setting changes, the windows of all streams do, and a stream that was given its window by
itself then has twice as much, which just fits into a window."""

_ENOUGH: Final = 16
"""So many calls in a row must be let in until messages may come with their heads again."""


class Restraint:
    """The windows that one connection's calls have for their messages.

    Args:
        outgoing: of the connection.
    """

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._is_on = False
        self._let_in = 0

    def refused(self, arriving: Iterable[Call]) -> None:
        """A call was refused by its head, while the messages of others, which were let in, arrive."""
        self._let_in = 0
        if self._is_on:
            return
        self._is_on = True
        self._outgoing.put(settings_frame({INITIAL_WINDOW_SIZE: 0}))
        for call in arriving:
            self._outgoing.put(window_update(call.stream, WINDOW))

    def let_in(self, call: Call, arriving: int) -> None:
        """A call was let in, while the messages of so many, its own among them, arrive."""
        if not self._is_on:
            return
        self._let_in += 1
        if self._let_in >= _ENOUGH and arriving == 1:
            # This gives the call its window, too.
            self._is_on = False
            self._outgoing.put(settings_frame({INITIAL_WINDOW_SIZE: WINDOW}))
        else:
            self._outgoing.put(window_update(call.stream, WINDOW))
