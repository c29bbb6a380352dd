"""What generators of load are told, and what they say."""

from __future__ import annotations

import uuid
from typing import Any

from collector.monitor.load.generator import End, Generator
from collector.monitor.load.interval import Summary
from collector.monitor.load.plan import Plan
from collector.monitor.load.sending import open_sending


def rule(failure: dict[str, Any], probability: float = 1.0, **said: Any) -> dict[str, Any]:
    """A failure rule as a plan has it."""
    settings = {"name": "x", "service": "shop", "failure": failure, "probability": probability, "endsAt": "2100-01-01T00:00:00Z"}
    return {"id": str(uuid.UUID(int=1)), "created_at": 1, "settings": {**settings, **said}}


async def run(wanted: Plan) -> tuple[End, Summary, list[Summary]]:
    """Run a test: how it ended, its sums, and those of each second."""
    intervals: list[Summary] = []
    sending = await open_sending(wanted)
    end = await Generator(wanted, sending, intervals.append).run()
    await sending.close()
    total = Summary(at=0, seconds=0)
    for each in intervals:
        total.add(each)
    assert total.sent == total.succeeded + total.failed_count + end.unanswered
    return end, total, intervals
