"""What several tests of faults need."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.clickhouse import ClickHouse


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    """The name of a database for one test alone, which makes it; dropped afterwards."""
    name = f"faults_{uuid4().hex}"
    yield name
    clickhouse.execute(f"DROP DATABASE IF EXISTS {name} SYNC")
