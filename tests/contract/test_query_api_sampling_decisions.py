"""GET /api/v1/sampling/decisions/{trace_id}: what is told of a trace, and that nothing is told of other workspaces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from collector.access import Gate
from collector.api.app import build_application
from collector.api.guard import Guard
from collector.processors.tail_sampling.decided import Verdicts, trace_key
from collector.processors.tail_sampling.recent import MOST_TRACES, Explanation, RecentDecisions
from collector.tokens import Tokens
from config.access import TokensExtension

TRACE = "0af7651916cd43dd8448eb211c80319c"
PATH = f"/api/v1/sampling/decisions/{TRACE}"
KEY = trace_key("mine", bytes.fromhex(TRACE))


@dataclass
class Explainer:
    """Knows what it was told."""

    recent: RecentDecisions = field(default_factory=RecentDecisions)
    pending: set[bytes] = field(default_factory=set)

    async def explain(self, key: bytes) -> Explanation:
        return Explanation(key in self.pending, tuple(self.recent.of(key)))


def verdicts(*keys: bytes, kept: bool = True, late: bool = False, probability: float = 0.25) -> Verdicts:
    count = len(keys)
    return Verdicts(
        keys=np.frombuffer(b"".join(keys), np.uint8).reshape(count, -1),
        kept=np.full(count, kept),
        reasons=np.full(count, int(not kept), np.int32),
        names=("share", "not_sampled"),
        probabilities=np.full(count, probability),
        thresholds_stay=np.ones(count, bool),
        late=np.full(count, late),
    )


@pytest.fixture
async def explainer() -> Explainer:
    return Explainer()


@pytest.fixture
async def client(explainer: Explainer) -> AsyncIterator[TestClient[Any, Any]]:
    tokens = [
        {"name": name, "token": f"{name}-token-0123456789", "role": "read", "workspaces": [name]} for name in ("mine", "theirs")
    ]
    gate = Gate("read", Tokens(TokensExtension.model_validate({"tokens": tokens}), "extensions.tokens"))
    application = build_application(None, guard=Guard(gate), explainers={"clickhouse": explainer})
    async with TestClient(TestServer(application)) as client:
        yield client


async def told(client: TestClient[Any, Any], caller: str = "mine", path: str = PATH) -> Any:
    async with client.get(path, headers={"Authorization": f"Bearer {caller}-token-0123456789"}) as answer:
        assert answer.status == 200
        (exporter,) = (await answer.json())["exporters"]
        return exporter


async def test_the_newest_decision_says_what_became_of_a_trace(client: TestClient[Any, Any], explainer: Explainer) -> None:
    assert await told(client) == {"exporter": "clickhouse", "state": "unknown", "decisions": []}
    explainer.recent.add(5, verdicts(b"x" * len(KEY), KEY), ("share", "errors"), np.array([[False, True], [True, False]]))
    explainer.recent.add(2**60, verdicts(KEY, late=True, probability=np.nan), ("share", "errors"), np.zeros((1, 2), bool))
    first = {"timeUnixNano": "5", "kept": True, "decidedBy": "share", "late": False, "probability": 0.25}
    votes = [{"policy": "share", "keeps": True}, {"policy": "errors", "keeps": False}]
    late = {"timeUnixNano": str(2**60), "kept": True, "decidedBy": "share", "late": True, "probability": None, "votes": None}
    assert await told(client) == {"exporter": "clickhouse", "state": "kept", "decisions": [late, {**first, "votes": votes}]}
    explainer.recent.add(7, verdicts(KEY, kept=False))
    assert (await told(client))["state"] == "dropped"
    explainer.pending.add(KEY)
    assert (await told(client))["state"] == "pending"


async def test_nothing_is_told_of_the_same_trace_id_in_another_workspace(
    client: TestClient[Any, Any], explainer: Explainer
) -> None:
    explainer.recent.add(5, verdicts(KEY))
    explainer.pending.add(KEY)
    assert (await told(client, "theirs"))["state"] == "unknown"
    async with client.get(PATH) as answer:
        assert answer.status == 401


async def test_a_trace_id_may_be_written_as_elsewhere_and_one_that_is_none_is_refused(
    client: TestClient[Any, Any], explainer: Explainer
) -> None:
    explainer.recent.add(5, verdicts(KEY))
    assert (await told(client, path=PATH.replace(TRACE, TRACE.upper())))["state"] == "kept"
    async with client.get(PATH[:-1] + "?", headers={"Authorization": "Bearer mine-token-0123456789"}) as answer:
        assert answer.status == 400
        assert "trace_id" in await answer.text()


def test_the_oldest_decisions_are_forgotten() -> None:
    recent = RecentDecisions()
    recent.add(1, verdicts(KEY))
    keys = [number.to_bytes(len(KEY), "big") for number in range(MOST_TRACES // 2)]
    for time_ns in (2, 3):
        recent.add(time_ns, verdicts(*keys))
    assert list(recent.of(KEY)) == []
    assert [decision.time_ns for decision in recent.of(keys[0])] == [3, 2]
