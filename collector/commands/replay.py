"""`spanhouse replay FILE...`: stored OTLP requests are sent as their services would send them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from collector.cli import FAILED, OK
from collector.replay.files import Request, files_of, requests_of
from collector.replay.senders import Failed, Sender, connect

_PROGRESS_INTERVAL_S: Final = 0.25
_LONGEST_LAG_S: Final = 1.0
"""A sender that was held up makes up for so much of the time it lost, so that no flood follows a pause."""


@dataclass(slots=True)
class Tally:
    """What became of the spans."""

    requests: int = 0
    sent: int = 0
    rejected: int = 0
    failed: int = 0
    first_failure: str = ""

    def __str__(self) -> str:
        return f"{self.sent} spans sent in {self.requests} requests, {self.rejected} rejected, {self.failed} failed"


class Pace:
    """Spreads spans evenly over time.

    Args:
        rate: spans a second; None for no limit.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next_at_s = 0.0

    async def turn(self, spans: int) -> None:
        """Wait until so many spans may be sent."""
        if self._rate is None:
            return
        now_s = asyncio.get_running_loop().time()
        start_at_s = max(self._next_at_s, now_s - _LONGEST_LAG_S)
        self._next_at_s = start_at_s + spans / self._rate
        await asyncio.sleep(start_at_s - now_s)


def execute(arguments: argparse.Namespace) -> int:
    """Send everything; the exit status is 0 only if every span was accepted."""
    tally = Tally()
    try:
        asyncio.run(_replay(arguments, tally))
    except KeyboardInterrupt:
        # What was sent until then is over there.
        _tell(tally)
        raise
    _tell(tally)
    return FAILED if tally.rejected or tally.failed else OK


def _tell(tally: Tally) -> None:
    if tally.first_failure:
        sys.stderr.write(f"the first failure was {tally.first_failure}\n")
    sys.stdout.write(f"{tally}\n")


async def _replay(arguments: argparse.Namespace, tally: Tally) -> None:
    files = [file for path in arguments.files for file in files_of(path)]
    requests = (request for _ in range(arguments.repeat) for request in requests_of(files, move_to_now=arguments.move_to_now))
    pace = Pace(arguments.rate)
    async with connect(arguments.protocol, arguments.endpoint) as sender:
        progress = asyncio.create_task(_show_progress(tally)) if sys.stderr.isatty() else None
        workers = [asyncio.create_task(_send_all(sender, requests, pace, tally)) for _ in range(arguments.concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            tasks = [*workers, progress] if progress else workers
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _send_all(sender: Sender, requests: Iterator[Request], pace: Pace, tally: Tally) -> None:
    for request in requests:
        await pace.turn(request.spans)
        try:
            rejected = await sender.send(request.body)
        except Failed as failure:
            tally.failed += request.spans
            tally.first_failure = tally.first_failure or f"{request.source}: {failure}"
        else:
            tally.sent += request.spans - rejected
            tally.rejected += rejected
        tally.requests += 1


async def _show_progress(tally: Tally) -> None:
    """Keep one line of the terminal up to date, and clear it in the end."""
    try:
        while True:
            sys.stderr.write(f"\r\033[K{tally}")
            sys.stderr.flush()
            await asyncio.sleep(_PROGRESS_INTERVAL_S)
    finally:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
