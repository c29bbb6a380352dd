"""A genuine ClickHouse for one test alone, which may kill it and start it again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import genuine_clickhouse as genuine
from tests.support.clickhouse import ClickHouse


@dataclass
class OwnClickHouse:
    """A server whose data stays over its deaths, and whose port does not."""

    library: Path
    directory: Path
    _server: genuine.GenuineServer | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Returns when it answers. Blocks."""
        self.directory.mkdir(exist_ok=True)
        self._server = self._running.enter_context(genuine.running(self.library, self.directory))

    def kill(self) -> None:
        """Like `kill -9`; nothing happens where it does not run."""
        self._running.close()

    @property
    def clickhouse(self) -> ClickHouse:
        assert self._server is not None
        return ClickHouse("genuine", self._server.http_port)

    @property
    def port(self) -> int:
        return self.clickhouse.http_port
