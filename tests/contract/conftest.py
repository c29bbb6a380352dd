"""What several tests of this directory share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.genuine_clickhouse import Unavailable
from tests.support.grafana_store import Store, embedded_store, genuine_store


@pytest.fixture(scope="session", params=["embedded", "genuine"])
def grafana(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Both servers, one after the other, as Grafana sees them."""
    kinds = {"embedded": embedded_store, "genuine": genuine_store}
    try:
        with kinds[request.param](tmp_path_factory.mktemp("grafana")) as running:
            yield running
    except Unavailable as reason:
        pytest.skip(str(reason))
