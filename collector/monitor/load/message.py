"""The bytes of a request of HTTP/1.1, prepared once; only the ids of its trace context are new each time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T", bytes, str)

_DIGITS: Final = 32
_AT_ONCE: Final = 1024
"""So many requests' ids are drawn at a time: a system call each would cost more than the rest of a request."""


def head_of(method: str, target: str, headers: Sequence[tuple[str, str]], body_bytes: int) -> bytes:
    """The head of a request of HTTP/1.1, up to its last line, without the empty line behind that.

    Args:
        headers: names and values; the length of the body is added where there is one, or the method usually has one.

    Raises:
        ValueError: a part has a character that would end its line or is not of ISO 8859-1.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body_bytes or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {body_bytes}")
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise ValueError("a request's head has a line break in a name or a value")
    try:
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("a request's head has a character that HTTP does not know; percent-encode it") from None


class TraceIds:
    """Draws ids of traces."""

    def __init__(self) -> None:
        self._ids = b""
        self._position = 0

    def draw(self) -> bytes:
        """The next one, as 32 hexadecimal digits."""
        at = self._position
        if at == len(self._ids):
            self._ids = os.urandom(_AT_ONCE * _DIGITS // 2).hex().encode()
            at = 0
        self._position = end = at + _DIGITS
        return self._ids[at:end]


class Message:
    """A request of HTTP/1.1 whose header `traceparent` (W3C Trace Context) is that of a new trace each time.

    Args:
        method: such as `GET`.
        target: path and query, as they go into the first line.
        headers: names and values; `traceparent` among them gives way to ours, `Host` must be there.
        body: what follows.

    Raises:
        ValueError: as `head_of`.
    """

    def __init__(self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        others = [(name, value) for name, value in headers if name.lower() != "traceparent"]
        self._before = head_of(method, target, others, len(body)) + b"traceparent: 00-"
        self._after = b"-01\r\n\r\n" + body

    def of(self, trace_id: bytes) -> bytes:
        """The bytes of the request that begins a trace, which is given as 32 hexadecimal digits."""
        return b"".join((self._before, trace_id, b"-", span_id_of(trace_id), self._after))


def span_id_of(trace_id: T) -> T:
    """The id of the span that a request is in its trace: the second half of the trace's, so that nobody need remember it.

    Args:
        trace_id: 32 hexadecimal digits, as text or as bytes.
    """
    return trace_id[_DIGITS // 2 :]
