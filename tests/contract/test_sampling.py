"""What SDKs are told that ask how to sample: Jaeger's protocol, in the workspace of who asks."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from aiohttp import web

from collector.access import Gate
from collector.api.app import build_application, build_runner, build_sampling_application
from collector.api.guard import Guard
from collector.control.adaptive_rounds import AdaptiveRounds
from collector.control.config_store import ConfigStore
from collector.control.feed import PolicyFeed
from collector.control.policies import Policy
from collector.control.strategies import Strategies
from collector.control.strategy_file import StrategyFile, read_strategies
from collector.receivers.sampling_grpc import SamplingGrpcServer
from collector.reloading import Reloading
from collector.tokens import Tokens
from config.access import TokensExtension
from config.remote_sampling import AdaptiveSampling, SamplingGrpc
from exporters.clickhouse.client import ClickHouseClient, ClickHouseUnavailable
from exporters.clickhouse.schema import SchemaSettings
from tests.support.tracing_configs import config

INGEST, READ, OTHER = "ingest-token-0123456789", "read-token-0123456789", "other-token-0123456789"


class Store(ConfigStore):
    """Says without a ClickHouse which configs there are; None for one that is away."""

    def __init__(self, *configs: Any, away: bool = False) -> None:
        self._configs = list(configs)
        self._away = away

    async def state(self) -> tuple[int, int]:
        if self._away:
            raise ClickHouseUnavailable("nobody there", sent=False)
        return len(self._configs), 0

    async def all(self, workspace: str = "") -> list[Any]:
        return self._configs


def strategies(*configs: Any, file: Reloading[StrategyFile] | None = None, away: bool = False) -> Strategies:
    return Strategies(PolicyFeed(Store(*configs, away=away), 0.0), file, Policy(sampling_rate=0.125))


def gate(role: Any) -> Gate:
    tokens = [
        {"name": "sdk", "token": INGEST, "role": "ingest", "workspaces": ["shop"]},
        {"name": "reader", "token": READ, "role": "read", "workspaces": ["shop"]},
        {"name": "other", "token": OTHER, "role": "ingest", "workspaces": ["other"]},
    ]
    return Gate(role, Tokens(TokensExtension.model_validate({"tokens": tokens}), "extensions.tokens"))


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[Any]:
    runner = build_runner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def ask(target: str, headers: Mapping[str, str] | None = None) -> tuple[int, str, Any]:
        async with session.get(url + target, headers=headers) as answer:
            text = await answer.text()
            media_type = answer.content_type
            return answer.status, media_type, json.loads(text) if media_type.endswith("json") else text

    async with aiohttp.ClientSession() as session:
        yield ask
    await runner.cleanup()


def rate(value: float) -> tuple[int, str, Any]:
    return 200, "application/json", {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": value}}


async def test_the_rate_is_that_of_the_config_and_none_where_it_is_off() -> None:
    said = [config("cart", workspace="default", samplingRate=0.8), config("c*", workspace="default", enabled=False)]
    async with serving(build_sampling_application(strategies(*said), Guard())) as ask:
        assert await ask("/sampling?service=cart") == rate(0.8)
        assert await ask("/sampling?service=car") == rate(0)
        assert await ask("/?service=payment") == rate(0.125)
        assert await ask("/sampling?service=cart", {"X-Workspace-Id": "other"}) == rate(0.125)


async def test_a_file_says_what_configs_do_not_and_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "strategies.json"
    file.write_text(json.dumps({"default_strategy": {"type": "ratelimiting", "param": 10}}))
    reloading = Reloading([str(file)], 1e-9, lambda: read_strategies(str(file), "source.file", 0.001))
    said = config("cart", workspace="default", samplingRate=0.8)
    async with serving(build_sampling_application(strategies(said, file=reloading), Guard())) as ask:
        limited = {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 10}}
        assert await ask("/sampling?service=cart") == rate(0.8)
        assert await ask("/sampling?service=payment") == (200, "application/json", limited)
        file.write_text("{")
        assert await ask("/sampling?service=payment") == (200, "application/json", limited)
        file.write_text(json.dumps({"default_strategy": {"type": "probabilistic", "param": 0.25}}))
        assert await ask("/sampling?service=payment") == rate(0.25)


@pytest.mark.parametrize("query", ["", "?service=a&service=b", "?Service=a", "?service=a&service="])
async def test_one_service_must_be_named(query: str) -> None:
    async with serving(build_sampling_application(strategies(), Guard())) as ask:
        assert await ask("/sampling" + query) == (400, "text/plain", "'service' parameter must be provided once\n")


async def test_trouble_with_the_store_is_an_error_of_the_server() -> None:
    async with serving(build_sampling_application(strategies(away=True), Guard())) as ask:
        status, media_type, text = await ask("/sampling?service=cart")
        assert (status, media_type) == (500, "text/plain")
        assert "tracing configs" in text


async def test_senders_of_spans_may_ask_in_their_workspace_alone() -> None:
    said = [config("cart", samplingRate=0.8), config("cart", workspace="other", samplingRate=0.4)]
    async with serving(build_sampling_application(strategies(*said), Guard(gate("ingest")))) as ask:
        assert await ask("/sampling?service=cart", {"Authorization": f"Bearer {INGEST}"}) == rate(0.8)
        assert await ask("/sampling?service=cart", {"Authorization": f"Bearer {OTHER}"}) == rate(0.4)
        assert (await ask("/sampling?service=cart"))[0] == 401
        assert (await ask("/sampling?service=cart", {"Authorization": f"Bearer {READ}"}))[0] == 403
        wrong = {"Authorization": f"Bearer {INGEST}", "X-Workspace-Id": "other"}
        assert (await ask("/sampling?service=cart", wrong))[0] == 403


async def test_the_query_port_answers_readers_at_two_paths() -> None:
    said = config("cart", samplingRate=0.8)
    async with ClickHouseClient(["http://127.0.0.1:1"]) as client:
        application = build_application(client, guard=Guard(gate("read")), strategies=strategies(said))
        async with serving(application) as ask:
            for path in ("/sampling", "/api/sampling"):
                assert await ask(f"{path}?service=cart", {"Authorization": f"Bearer {READ}"}) == rate(0.8)
                assert (await ask(f"{path}?service=cart", {"Authorization": f"Bearer {INGEST}"}))[0] == 403


async def test_what_is_reckoned_comes_behind_configs_and_services_that_a_file_names(tmp_path: Path) -> None:
    file = tmp_path / "strategies.json"
    named = {"service": "payment", "type": "probabilistic", "param": 0.25}
    file.write_text(json.dumps({"service_strategies": [named]}))
    reloading = Reloading([str(file)], 0, lambda: read_strategies(str(file), "source.file", 0.001))
    feed = PolicyFeed(Store(config("cart", workspace="default", samplingRate=0.8)), 0.0)
    async with ClickHouseClient(["http://127.0.0.1:1"]) as client:
        rounds = AdaptiveRounds(client, SchemaSettings(), AdaptiveSampling(initial_sampling_probability=0.5))
        told = Strategies(feed, reloading, Policy(), rounds)
        async with serving(build_sampling_application(told, Guard())) as ask:
            assert await ask("/?service=cart") == rate(0.8)
            assert await ask("/?service=payment") == rate(0.25)
            assert (await ask("/?service=new"))[2]["operationSampling"]["defaultSamplingProbability"] == 0.5


@asynccontextmanager
async def serving_grpc(told: Strategies, gate: Gate, refused: list[str]) -> AsyncIterator[Any]:
    settings = SamplingGrpc(endpoint="127.0.0.1:0")
    server = SamplingGrpcServer("extensions.jaeger_remote_sampling.grpc", settings, told, gate, refused.append)
    await server.start()
    async with grpc.aio.insecure_channel(server.url) as channel:
        yield channel.unary_unary("/jaeger.api_v2.SamplingManager/GetSamplingStrategy")
    await server.stop()


def asking(service: str) -> bytes:
    """A `SamplingStrategyParameters`, byte by byte."""
    return b"\x0a" + bytes([len(service)]) + service.encode()


def double(field: int, number: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", number)


async def test_sdks_are_told_the_same_over_grpc(tmp_path: Path) -> None:
    file = tmp_path / "strategies.json"
    operations = [{"operation": "GET /", "type": "probabilistic", "param": 0.5}]
    named = [
        {"service": "payment", "type": "ratelimiting", "param": 10},
        {"service": "shop", "type": "probabilistic", "param": 0.25, "operation_strategies": operations},
    ]
    file.write_text(json.dumps({"service_strategies": named}))
    reloading = Reloading([str(file)], 0, lambda: read_strategies(str(file), "source.file", 0.001))
    said = config("cart", workspace="default", samplingRate=0.8)
    async with serving_grpc(strategies(said, file=reloading), Gate("ingest"), []) as ask:
        assert await ask(asking("cart")) == b"\x12\x09" + double(1, 0.8)
        assert await ask(asking("payment")) == b"\x08\x01\x1a\x02\x08\x0a"
        assert await ask(asking("other")) == b"\x12\x09" + double(1, 0.001)
        answer = await ask(asking("shop"))
        assert double(1, 0.25) in answer
        assert b"\x1a\x12\x0a\x05GET /\x12\x09" + double(1, 0.5) in answer


async def test_over_grpc_senders_of_spans_may_ask_in_their_workspace_alone() -> None:
    said = [config("cart", samplingRate=0.8), config("cart", workspace="other", samplingRate=0.4)]
    refused: list[str] = []
    async with serving_grpc(strategies(*said), gate("ingest"), refused) as ask:
        for token, share in ((INGEST, 0.8), (OTHER, 0.4)):
            assert await ask(asking("cart"), metadata=(("authorization", f"Bearer {token}"),)) == b"\x12\x09" + double(1, share)
        for metadata, code in (
            ((), grpc.StatusCode.UNAUTHENTICATED),
            ((("authorization", f"Bearer {READ}"),), grpc.StatusCode.PERMISSION_DENIED),
            ((("authorization", f"Bearer {INGEST}"), ("x-workspace-id", "other")), grpc.StatusCode.PERMISSION_DENIED),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(asking("cart"), metadata=metadata)
            assert caught.value.code() == code
    assert refused == ["unauthenticated", "permission_denied", "permission_denied"]


async def test_over_grpc_trouble_is_told_by_its_code() -> None:
    async with serving_grpc(strategies(away=True), Gate("ingest"), []) as ask:
        for request, code in ((asking("cart"), grpc.StatusCode.UNAVAILABLE), (b"\xff", grpc.StatusCode.INVALID_ARGUMENT)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(request)
            assert caught.value.code() == code
