"""A daemon that holds all real traces, moved to the last minutes: what the page shows in tests, pictures and benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from collector.replay.files import requests_of
from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.traces import all_traces, read_trace

_LARGE: Final = ("otel-demo", "next-build")
"""Beginnings of the names of files that would take long and show nothing that others do not."""


@contextmanager
def showing_real_traces(directory: Path) -> Iterator[Daemon]:
    """The daemon, once it has stored all; it must end well."""
    files = [directory / f"{trace.name}.pb" for trace in all_traces() if not trace.name.startswith(_LARGE)]
    for file in files:
        file.write_bytes(read_trace(file.stem).body)
    with daemon_in(directory) as daemon:
        daemon.configure(processors={"red_metrics": None, "topology": None})
        _extend(daemon, "alerting", "load_tests")
        daemon.start()
        daemon.await_ready()
        for request in requests_of(files, move_to_now=True):
            daemon.export(request.body)
        await_stored(daemon)
        yield daemon
        assert daemon.stop() == 0, daemon.log


def await_stored(daemon: Daemon) -> None:
    """Wait until nothing is left in the queue."""
    eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "spans that are all stored", 60.0)


def _extend(daemon: Daemon, *extensions: str) -> None:
    document = yaml.safe_load(daemon.file.read_text())
    document["extensions"].update(dict.fromkeys(extensions))
    document["service"]["extensions"] += extensions
    daemon.file.write_text(yaml.safe_dump(document, sort_keys=False))
