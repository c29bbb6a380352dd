"""The bound on bytes of requests that were received and not yet answered, one for the whole process."""

from __future__ import annotations

from collector.errors import Retryable


class InFlight:
    """Counts bytes held by requests, and turns away what would exceed the bound.

    A request that is alone is always let in: one larger than the bound could otherwise never succeed. The bound in force is
    therefore the larger of `max_bytes` and the largest single request.
    """

    __slots__ = ("held_bytes", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0

    def reserve(self, size: int, already_held: int = 0) -> None:
        """Hold `size` more bytes for a request that holds `already_held`.

        Raises:
            Retryable: other requests hold too much; nothing was reserved.
        """
        held = self.held_bytes + size
        if held > self.max_bytes and self.held_bytes > already_held:
            raise Retryable(f"{self.held_bytes} bytes of requests are in flight, {self.max_bytes} are allowed; try again shortly")
        self.held_bytes = held

    def release(self, size: int) -> None:
        self.held_bytes -= size


class Lease:
    """What one request holds while its body arrives and grows: a context manager that gives all of it back."""

    __slots__ = ("_in_flight", "size")

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold `size` more bytes.

        Raises:
            Retryable: see `InFlight.reserve`.
        """
        self._in_flight.reserve(size, self.size)
        self.size += size

    def give_back(self) -> None:
        """Hold nothing any more."""
        self._in_flight.release(self.size)
        self.size = 0

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()
