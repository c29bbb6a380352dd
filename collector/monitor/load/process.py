"""A generator's process, as the daemon sees it: started with a plan, read line by line, told to end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Final, Self

import orjson
import structlog

from collector.monitor.load.generator import End
from collector.monitor.load.interval import Summary
from collector.monitor.load.plan import RULES, Plan, Rule

_log = structlog.get_logger(__name__)

_LONGEST_LINE: Final = 4 << 20
_STOP_S: Final = 10.0


class GeneratorError(Exception):
    """The generator did not come to the end of its test; the text says why."""


class GeneratorProcess:
    """One generator; as an asynchronous context it is started, and has ended in the end."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: asyncio.subprocess.Process | None = None
        self._complaint = ""

    @property
    def pid(self) -> int:
        """The process id, once started."""
        return self._running.pid

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None  # noqa: S101 - the context was entered
        return self._process

    async def __aenter__(self) -> Self:
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "collector.monitor.load"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C is for the daemon, which stops this process in its turn.
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
        assert process.stdin is not None  # noqa: S101 - it was asked for
        # Kept open: the generator cancels its test when it ends.
        process.stdin.write(self._plan.model_dump_json(by_alias=True).encode() + b"\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cancel()
        try:
            await asyncio.wait_for(self._running.wait(), _STOP_S)
        except TimeoutError:
            self._running.kill()
            await self._running.wait()

    def tell_rules(self, rules: tuple[Rule, ...]) -> None:
        """Tell it which failure rules there are now."""
        assert self._running.stdin is not None  # noqa: S101 - it was asked for
        if not self._running.stdin.is_closing():
            self._running.stdin.write(RULES.dump_json(rules, by_alias=True) + b"\n")

    def cancel(self) -> None:
        """Tell it to end its test now; what it has comes all the same."""
        assert self._running.stdin is not None  # noqa: S101 - it was asked for
        self._running.stdin.close()

    async def lines(self) -> AsyncGenerator[Summary | End, None]:
        """What it says: sums of each second, and the end as the last.

        Raises:
            GeneratorError: there was no end.
        """
        process = self._running
        assert process.stdout is not None  # noqa: S101 - it was asked for
        complaints = asyncio.create_task(self._relay_complaints(process))
        try:
            async for line in process.stdout:
                message = orjson.loads(line)
                if "interval" in message:
                    yield Summary.model_validate(message["interval"])
                elif "end" in message:
                    yield End.model_validate(message["end"])
                    return
                else:
                    raise GeneratorError(message["error"])
            status = await process.wait()
            await complaints
            what = f"by signal {-status}" if status < 0 else f"with status {status}"
            raise GeneratorError(f"The load generator has ended {what}. {self._complaint}".rstrip())
        finally:
            complaints.cancel()

    async def _relay_complaints(self, process: asyncio.subprocess.Process) -> None:
        """What it says on its standard error, into our log; the last line is kept."""
        assert process.stderr is not None  # noqa: S101 - it was asked for
        async for line in process.stderr:
            self._complaint = line.decode(errors="replace").rstrip()[:2000]
            _log.warning("load_generator_says", line=self._complaint)
