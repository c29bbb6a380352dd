"""Sessions: connections that outlive a request, so that SET, USE and temporary tables do.

All of it happens on the event loop; only the statements of a session run elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from exporters.embedded.engine import Connection
from exporters.embedded.errors import error

_MOST_OF_A_USER = 256


@dataclass(slots=True)
class Session:
    """A session and its connection. `busy` while a query runs in it."""

    connection: Connection
    busy: bool = False
    expiry: asyncio.TimerHandle | None = None


class Sessions:
    """The sessions of a server, by user and id: nobody gets into another's, whatever id they give."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str], Session] = {}

    def take(self, user: str, session_id: str, connect: Callable[[], Connection], *, must_exist: bool) -> Session:
        """Lock a session for one query, making it if need be.

        Args:
            connect: makes its connection; quick enough to be called on the event loop.

        Raises:
            DatabaseError: 372 if it must exist and does not, 373 if another query runs in it, 202 if the user has too many.
        """
        session = self._sessions.get((user, session_id))
        if session is None:
            if must_exist:
                raise error(372, "SESSION_NOT_FOUND", f"Session {session_id} not found", of_session=False)
            if sum(owner == user for owner, _ in self._sessions) >= _MOST_OF_A_USER:
                message = f"Too many sessions of user {user}. Maximum: {_MOST_OF_A_USER}"
                raise error(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message, of_session=False)
            session = self._sessions[user, session_id] = Session(connect())
        elif session.busy:
            message = f"Session {session_id} is locked by a concurrent client"
            raise error(373, "SESSION_IS_LOCKED", message, of_session=False)
        session.busy = True
        if session.expiry is not None:
            session.expiry.cancel()
            session.expiry = None
        return session

    def give_back(self, user: str, session_id: str, *, timeout_s: float, close: bool) -> None:
        """Unlock a session; it is closed now, or when nobody has used it for `timeout_s` seconds."""
        session = self._sessions[user, session_id]
        session.busy = False
        if close:
            self._close(user, session_id)
        else:
            loop = asyncio.get_running_loop()
            session.expiry = loop.call_later(timeout_s, self._close, user, session_id)

    def close(self) -> None:
        """Close every session; none may be busy."""
        for user, session_id in list(self._sessions):
            self._close(user, session_id)

    def _close(self, user: str, session_id: str) -> None:
        session = self._sessions.pop((user, session_id))
        if session.expiry is not None:
            session.expiry.cancel()
        session.connection.close()
