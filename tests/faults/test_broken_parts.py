"""A part of the daemon that breaks ends it, and is told as the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.daemon import Daemon
from collector.running import ConfigFile, RunningConfig
from config.load import load

CONFIG = """
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
exporters: {otlp: {endpoint: "127.0.0.1:1", tls: {insecure: true}}}
service: {shutdown_timeout: 1s, pipelines: {traces: {receivers: [otlp], exporters: [otlp]}}}
"""


async def test_a_daemon_does_not_end_in_peace_when_one_of_its_tasks_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a fault in following")

    monkeypatch.setattr(RunningConfig, "follow", fail)
    path = tmp_path / "collector.yaml"
    path.write_text(CONFIG)
    daemon = Daemon(load(path, {}), ConfigFile(path, lambda: load(path, {}), None), "0")
    with pytest.raises(RuntimeError, match="a fault in following"):
        await daemon.run()
