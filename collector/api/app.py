"""The applications of our ports: routes, errors, and what handlers need.

application = build_application(client)
runner = build_runner(application)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from collector.api import (
    alert_deliveries,
    alert_rules,
    alerts,
    audit,
    channels,
    completion,
    configuration,
    dialects,
    failure_rules,
    lasting,
    latencies,
    ledger,
    load_test_runs,
    load_tests,
    many,
    monitoring,
    red,
    sampling_decisions,
    saved_requests,
    search,
    search_tail,
    services,
    topology,
    trace_analysis,
    trace_annotations,
    traces,
    tracing_configs,
)
from collector.api.guard import Guard, protect
from collector.api.jaeger import transform
from collector.api.openapi import openapi_document
from collector.api.openapi_page import POLICY, openapi_page
from collector.api.page import page_routes
from collector.api.problems import FORMS, problems
from collector.api.routing import (
    BASE_PATH,
    CONFIGS,
    EXPLAINERS,
    JSON,
    LEDGER,
    NOW,
    OBJECTS,
    RUNNING,
    SETTINGS,
    STORE,
    TURNS,
    QuerySettings,
    Route,
)
from collector.api.sampling import PATHS, STRATEGIES, sampling_strategy
from collector.api.turns import turn_taking
from collector.control.config_store import ConfigStore
from collector.control.objects import Objects
from collector.control.strategies import Strategies
from collector.fair_turns import TurnLimits, Turns
from collector.http_connection import ConnectionLimits, Runner
from collector.ledger import Ledger
from collector.monitor.alerts.log import AlertLog
from collector.monitor.channels.deliveries import Deliveries
from collector.monitor.channels.outcomes import Outcomes
from collector.monitor.load.run_store import RunStore
from collector.monitor.outgoing import Outgoing
from collector.monitor.requests.execution_store import ExecutionStore
from collector.processors.tail_sampling.recent import Explainer
from collector.query.store import SpanStore
from collector.running import RunningConfig
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings

ROUTES: Final[tuple[Route, ...]] = (
    *services.ROUTES,
    *completion.ROUTES,
    *search.ROUTES,
    *search_tail.ROUTES,
    *traces.ROUTES,
    *trace_annotations.ROUTES,
    *trace_analysis.ROUTES,
    *latencies.ROUTES,
    *many.ROUTES,
    *monitoring.ROUTES,
    *red.ROUTES,
    *topology.ROUTES,
    *ledger.ROUTES,
    *sampling_decisions.ROUTES,
    *tracing_configs.ROUTES,
    *audit.ROUTES,
    *channels.ROUTES,
    *alert_deliveries.ROUTES,
    *alert_rules.ROUTES,
    *alerts.ROUTES,
    *failure_rules.ROUTES,
    *load_tests.ROUTES,
    *load_test_runs.ROUTES,
    *saved_requests.ROUTES,
)

_API: Final = "/api/"
"""Where the paths of our own API begin."""
_GUARD: Final = web.AppKey("guard", Guard)
_MAX_BODY_BYTES: Final = 64 << 10
"""Queries are in URLs unless they are long; what else has a body is a request to change something, and small."""
_LIMITS: Final = web.AppKey("limits", ConnectionLimits)
_OF_QUERIES: Final = ConnectionLimits(max_connections=512, linger_s=1.0)
_OF_SDKS: Final = ConnectionLimits(idle_timeout_s=5.0, linger_s=1.0)
"""There may be thousands of them, and each asks once a minute: it need not stay meanwhile."""


def build_application(
    client: ClickHouseClient | None,
    settings: QuerySettings | None = None,
    *,
    base_path: str = "",
    guard: Guard | None = None,
    turns: Turns | None = None,
    accounts: Ledger | None = None,
    explainers: Mapping[str, Explainer] | None = None,
    strategies: Strategies | None = None,
    running: RunningConfig | None = None,
    outgoing: Outgoing | None = None,
    deliveries: Deliveries | None = None,
    extra_routes: Iterable[web.RouteDef] = (),
    now: Callable[[], int] = time.time_ns,
) -> web.Application:
    """The application that answers queries. The caller owns `client` and closes it.

    Args:
        client: to the store; without one, only that is answered which needs none.
        base_path: what stands in front of all paths for those who come through a proxy.
        guard: who may ask; everybody, in any workspace, when None.
        turns: how many are answered at once; as many as is usual when None.
        accounts: what became of every span; an empty one when None.
        explainers: who decides about traces, by the id of the exporter; nobody when None.
        strategies: what SDKs are told that ask how to sample; not served when None.
        running: the configuration that runs; not served when None.
        outgoing: sends load tests and requests; nothing can be sent when None.
        deliveries: sends notifications; nobody can be told of anything when None.
        extra_routes: what the daemon serves on the same port (health, own metrics); their errors become problem documents too.
        now: nanoseconds since 1970, for default time ranges.
    """
    settings = settings or QuerySettings()
    turns = turns or Turns(TurnLimits())
    take_turns = turn_taking(turns, _API, *dialects.FORMS, lasting=(*lasting.PATHS, transform.PATH))
    application = _guarded(guard or Guard(), _OF_QUERIES, take_turns)
    routes: tuple[Route, ...] = (*ledger.ROUTES, *sampling_decisions.ROUTES)
    if client is not None:
        routes = ROUTES
        _add_stores(application, client, settings, now)
        application[TURNS] = turns
        lasting.allow_lasting(application)
        if outgoing is not None:
            application[load_test_runs.LOAD_TESTS] = outgoing.load_tests
            application[saved_requests.EXECUTOR] = outgoing.executor
        if deliveries is not None:
            application[channels.DELIVERIES] = deliveries
    if running is not None:
        routes = (*routes, *configuration.ROUTES)
        application[RUNNING] = running
    application[BASE_PATH] = base_path
    application[SETTINGS] = settings
    application[LEDGER] = accounts or Ledger()
    application[EXPLAINERS] = {} if explainers is None else explainers
    application[NOW] = now
    # With what is read, its head can be asked for.
    application.router.add_routes(
        [
            web.get(route.path, route.answer) if route.method == "GET" else web.route(route.method, route.path, route.answer)
            for route in routes
        ]
    )
    if client is not None:
        application.router.add_routes(dialects.ROUTES)
    application[FORMS] = dialects.FORMS
    _describe(application, routes, base_path)
    application.router.add_routes(page_routes(base_path))
    if strategies is not None:
        application[STRATEGIES] = strategies
        application.router.add_routes([web.get(path, sampling_strategy) for path in PATHS])
    application.router.add_routes(extra_routes)
    return application


def _add_stores(application: web.Application, client: ClickHouseClient, settings: QuerySettings, now: Callable[[], int]) -> None:
    """Let handlers ask the store for all that is in it."""
    database, timeout_s = client.database, settings.timeout_s
    schema = SchemaSettings(database, settings.spans_table.rpartition(".")[2])
    application[STORE] = SpanStore(client, settings.spans_table, timeout_s, settings.limits)
    application[CONFIGS] = ConfigStore(client, database, timeout_s, now)
    application[OBJECTS] = Objects(client, database, timeout_s, now)
    application[load_test_runs.RUNS] = RunStore(client, database, timeout_s)
    application[saved_requests.EXECUTIONS] = ExecutionStore(client, database, timeout_s)
    application[alert_rules.ALERT_LOG] = AlertLog(client, schema, timeout_s)
    application[alert_deliveries.DELIVERED] = Outcomes(client, schema, timeout_s)


def _describe(application: web.Application, routes: Iterable[Route], base_path: str) -> None:
    """Serve what there is to ask for, for programs and for readers."""
    document = openapi_document(routes)
    if base_path:
        document["servers"] = [{"url": base_path}]
    json, page = orjson.dumps(document), openapi_page(document)

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=json, content_type=JSON)

    async def docs(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    application.router.add_get("/openapi.json", openapi)
    application.router.add_get("/docs", docs)


def build_sampling_application(strategies: Strategies, guard: Guard) -> web.Application:
    """The application of an address where SDKs ask how to sample, and nothing else is served: every path answers."""
    application = _guarded(guard, _OF_SDKS)
    application[STRATEGIES] = strategies
    application.router.add_get("/{path:.*}", sampling_strategy)
    return application


def _guarded(guard: Guard, limits: ConnectionLimits, *further: Middleware) -> web.Application:
    application = web.Application(middlewares=[problems, guard.middleware(), *further], client_max_size=_MAX_BODY_BYTES)
    application.on_response_prepare.append(protect)
    application[_GUARD] = guard
    application[_LIMITS] = limits
    return application


def build_runner(application: web.Application) -> web.AppRunner:
    """A runner that cancels a request's handler, and with it its query, when the client leaves."""
    return Runner(
        application,
        application[_LIMITS],
        application[_GUARD].refuse_head,
        base_path=application.get(BASE_PATH, ""),
        handler_cancellation=True,
    )
