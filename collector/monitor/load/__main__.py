"""`python -m collector.monitor.load`: the process of one load test.

It reads its Plan as one line of JSON, and runs it. On standard output it prints lines of JSON: `{"interval": Summary}` every
second, and `{"end": End}` as the last one, or `{"error": text}` where it cannot begin. When its standard input ends, it cancels
the test: that is how it is told to, and what happens when the process that started it is gone.
"""

from __future__ import annotations

import asyncio
import gc
import sys

import orjson
import uvloop

from collector.monitor.load.generator import Generator
from collector.monitor.load.interval import Summary
from collector.monitor.load.plan import Plan
from collector.tls import TlsError


def main() -> int:
    """Run the test; returns the exit status."""
    return uvloop.run(_run(sys.stdin.buffer.readline()))


async def _run(line: bytes) -> int:
    try:
        generator = Generator(Plan.model_validate_json(line), lambda summary: _say({"interval": _json(summary)}))
    except (ValueError, TlsError) as error:
        _say({"error": str(error)})
        return 1
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()

    def ended() -> None:
        loop.remove_reader(descriptor)
        generator.cancel()

    # Nothing more is ever written to it: it becomes readable when its other end is closed.
    loop.add_reader(descriptor, ended)
    # What was made until now stays, and need not be looked through again and again.
    gc.freeze()
    end = await generator.run()
    _say({"end": end.model_dump()})
    return 0


def _json(summary: Summary) -> dict[str, object]:
    return summary.model_dump(by_alias=True)


def _say(message: dict[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
