"""What several tests of this directory share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import uvloop

from exporters.clickhouse.client import ClickHouseClient
from tests.support.alerts import Shop, opened_shop
from tests.support.clickhouse import ClickHouse
from tests.support.databases import emptied, made_database
from tests.support.genuine_clickhouse import Unavailable
from tests.support.grafana_store import Store, embedded_store, genuine_store
from tests.support.grpc_servers import Serving, serving
from tests.support.http2 import Http2Client


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What speaks over connections itself is tested with the daemon's event loop as well, which differs in small things."""
    loops = {"asyncio": asyncio.new_event_loop}
    return {**loops, "uvloop": uvloop.new_event_loop} if item.path.name.startswith("test_grpc_server") else loops


@pytest.fixture(scope="session", params=["embedded", "genuine"])
def grafana(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Both servers, one after the other, as Grafana sees them."""
    kinds = {"embedded": embedded_store, "genuine": genuine_store}
    try:
        with kinds[request.param](tmp_path_factory.mktemp("grafana")) as running:
            yield running
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def module_database(clickhouse: ClickHouse) -> Iterator[str]:
    """A database with all tables for a file of tests."""
    with made_database(clickhouse) as database:
        yield database


@pytest.fixture(scope="module")
def embedded_database(embedded_clickhouse: ClickHouse) -> Iterator[str]:
    """The same, where tests need the embedded server alone."""
    with made_database(embedded_clickhouse) as database:
        yield database


@pytest.fixture
async def module_client(clickhouse: ClickHouse, module_database: str) -> AsyncIterator[ClickHouseClient]:
    """A client of the file's database, which is empty for each test."""
    async with emptied(clickhouse, module_database) as client:
        yield client


@pytest.fixture
async def embedded_client(embedded_clickhouse: ClickHouse, embedded_database: str) -> AsyncIterator[ClickHouseClient]:
    """The same, of the embedded server alone."""
    async with emptied(embedded_clickhouse, embedded_database) as client:
        yield client


@pytest.fixture
async def shop(embedded_clickhouse: ClickHouse, embedded_database: str) -> AsyncIterator[Shop]:
    """That database, with nothing in its tables."""
    async with opened_shop(embedded_clickhouse, embedded_database) as opened:
        yield opened


@pytest.fixture
async def served() -> AsyncIterator[Serving]:
    """A gRPC server of ours with methods for tests."""
    async with serving() as served:
        yield served


@pytest.fixture
async def client(served: Serving) -> AsyncIterator[Http2Client]:
    """A connection to it."""
    async with await Http2Client.connect(served.port) as client:
        yield client
