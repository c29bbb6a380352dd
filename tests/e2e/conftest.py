"""One daemon for all tests that do not disturb it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.daemon import Daemon, daemon_in


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running daemon with the embedded ClickHouse. Tests tell their spans from others' by trace ids or service names."""
    with daemon_in(tmp_path_factory.mktemp("daemon")) as running:
        running.start()
        yield running
        assert running.stop() == 0, running.log
