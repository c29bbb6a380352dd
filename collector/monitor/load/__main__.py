"""`python -m collector.monitor.load`: the process of one load test.

It reads its Plan as one line of JSON, and runs it. Further lines are failure rules (`plan.RULES`), which take the place of those
before. On standard output it prints lines of JSON: `{"interval": Summary}` every second, and `{"end": End}` as the last one, or
`{"error": text}` where it cannot begin. When its standard input ends, it cancels the test: that is how it is told to, and what
happens when the process that started it is gone.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Final

import orjson
import uvloop

from collector.monitor.load.generator import Generator
from collector.monitor.load.interval import Summary
from collector.monitor.load.plan import RULES, Plan
from collector.monitor.load.sending import open_sending
from collector.tls import TlsError

_LONGEST_LINE: Final = 16 << 20


def main() -> int:
    """Run the test; returns the exit status."""
    return uvloop.run(_run())


async def _run() -> int:
    told = asyncio.StreamReader(_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    line = await told.readline()
    try:
        plan = Plan.model_validate_json(line)
        sending = await open_sending(plan)
    except (ValueError, TlsError) as error:
        _say({"error": str(error)})
        return 1
    generator = Generator(plan, sending, lambda summary: _say({"interval": _json(summary)}))
    # What was made until now stays, and need not be looked through again and again.
    gc.freeze()
    listening = asyncio.create_task(_obey(told, generator))
    end = await generator.run()
    listening.cancel()
    await sending.close()
    _say({"end": end.model_dump()})
    return 0


async def _obey(told: asyncio.StreamReader, generator: Generator) -> None:
    while line := await told.readline():
        generator.follow(RULES.validate_json(line))
    generator.cancel()


def _json(summary: Summary) -> dict[str, object]:
    return summary.model_dump(by_alias=True)


def _say(message: dict[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
