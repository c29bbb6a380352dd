"""`spanhouse dead-letter retry` while others see to the same entries: each is sent once, and what is gone stops nobody."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import yaml

from exporters.base import ExportError, Outlook
from exporters.dead_letters import DeadLetters
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers
from tests.support.daemon import ROOT
from tests.support.receivers import receivers
from tests.support.waiting import until

ERROR = ExportError("a column does not like it", "type_mismatch", Outlook.NEVER)


def configured(directory: Path) -> Path:
    """A configuration whose one exporter has its dead letters in the directory."""
    file = directory / "collector.yaml"
    exporter = {"endpoint": "http://127.0.0.1:4317", "dead_letters": {"directory": str(directory)}}
    pipeline = {"receivers": ["otlp"], "exporters": ["otlp"]}
    document = {
        "receivers": {"otlp": {"protocols": {"http": {}}}},
        "exporters": {"otlp": exporter},
        "service": {"pipelines": {"traces": pipeline}},
    }
    file.write_text(yaml.safe_dump(document))
    return file


async def retry(file: Path, port: int) -> Process:
    command = [sys.executable, "-m", "collector", "dead-letter", "retry", "--all", "--endpoint", f"127.0.0.1:{port}"]
    return await asyncio.create_subprocess_exec(*command, "-c", str(file), cwd=ROOT, stdout=PIPE, stderr=PIPE)


async def test_entries_that_two_commands_send_and_a_third_drops_are_sent_once(tmp_path: Path) -> None:
    arrived: list[SpanBatch] = []
    may_answer = asyncio.Event()

    async def slowly(batch: SpanBatch) -> None:
        arrived.append(batch)
        await may_answer.wait()

    letters = DeadLetters(tmp_path, "otlp", 1 << 20)
    for number in range(4):
        letters.add(numbered(number), f"batch-{number}", ERROR)
    *_, dropped = letters.entries()
    async with receivers() as both:
        both.consumer.before = slowly
        file = configured(tmp_path)
        first = await retry(file, both.grpc.port)
        await until(lambda: len(arrived) == 1)
        second = await retry(file, both.grpc.port)
        await until(lambda: len(arrived) == 2)
        letters.remove(dropped)
        may_answer.set()
        outcomes = [await command.communicate() for command in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0], outcomes
        assert sorted(number for batch in both.consumer.batches for number in numbers(batch)) == [0, 1, 2]
    assert list(letters.entries()) == []
    assert all(b"Traceback" not in errors for _, errors in outcomes)
