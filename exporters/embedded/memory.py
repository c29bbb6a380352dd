"""The memory that readers' queries have between them, so that what the daemon stores finds some.

chDB bounds the memory of one query, and of all together; at the second bound it fails whoever asks next. So only so many
queries of readers run at a time as fit into a part of it with all that they may take, and the others wait for their turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from exporters.embedded.errors import error


class MemoryShare:
    """A number of bytes, given out to queries.

    Args:
        capacity: bytes.
        timeout_s: how long a query may wait for its turn.
    """

    def __init__(self, capacity: int, timeout_s: float) -> None:
        self._capacity = capacity
        self._timeout_s = timeout_s
        self._taken: Counter[str] = Counter()
        self._waiting: list[tuple[str, int, asyncio.Future[None]]] = []

    async def take(self, name: str, nbytes: int) -> int:
        """Wait until a query of this account may take so many bytes; what to give back, at most the capacity.

        Raises:
            DatabaseError: 202, its turn did not come in time.
        """
        nbytes = min(nbytes, self._capacity)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((name, nbytes, turn))
        self._serve()
        try:
            async with asyncio.timeout(self._timeout_s):
                await turn
        except BaseException as gone:
            if turn.done() and not turn.cancelled():
                self.give_back(name, nbytes)
            turn.cancel()
            self._serve()
            if isinstance(gone, TimeoutError):
                message = f"Too many simultaneous queries. None ended within {self._timeout_s:g} seconds"
                raise error(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message) from None
            raise
        return nbytes

    def give_back(self, name: str, nbytes: int) -> None:
        """What `take` returned."""
        self._taken[name] -= nbytes
        self._serve()

    def _serve(self) -> None:
        """Let in whoever fits, those first who have the least, so that who asks often does not keep others out."""
        while True:
            # Those whose turn has come are done, and so are those who have left.
            self._waiting = [each for each in self._waiting if not each[2].done()]
            if not self._waiting:
                return
            name, nbytes, turn = min(self._waiting, key=lambda each: self._taken[each[0]])
            if self._taken.total() + nbytes > self._capacity:
                return
            self._taken[name] += nbytes
            turn.set_result(None)
