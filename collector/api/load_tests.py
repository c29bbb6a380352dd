"""/api/v1/workspaces/{workspace}/load-tests: what load tests are, and starting them."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from collector.api import schemas
from collector.api.bodies import invalid_body
from collector.api.load_test_runs import LOAD_TESTS, RUN, run_as_json
from collector.api.objects import ID, ObjectApi
from collector.api.problems import Problem
from collector.api.routing import CALLER, JSON, Route, made_at
from collector.api.versioned import answer_json
from collector.egress.destination import EgressRefused
from collector.monitor.load import definition
from collector.monitor.load.definition import LoadTest, beyond_limits
from collector.monitor.load.runs import TooManyRuns
from collector.monitor.secrets import SecretError


async def _check(request: web.Request, test: LoadTest) -> None:
    load_tests = request.app.get(LOAD_TESTS)
    faults = beyond_limits(test, load_tests.settings) if load_tests is not None else []
    if faults:
        raise invalid_body([{"field": field, "value": value, "detail": detail} for field, value, detail in faults])


TESTS: Final = ObjectApi(definition.LOAD_TESTS, "load-tests", "LoadTest", "load test", check=_check)


async def start_load_test(request: web.Request) -> web.Response:
    """Start a load test, which runs on by itself."""
    load_tests = request.app.get(LOAD_TESTS)
    if load_tests is None:
        detail = "No load test can be started here: the configuration has no extension load_tests in service.extensions."
        raise Problem(403, "Load tests are off", detail)
    stored = await TESTS.named(request)
    # The limits may have become narrower since the test was described.
    await _check(request, stored.settings)
    caller = request[CALLER]
    try:
        run = await load_tests.start(caller.workspace, stored, caller.principal.name)
    except TooManyRuns as error:
        raise Problem(409, "Too many load tests", str(error)) from None
    except EgressRefused as error:
        raise Problem(403, "Target not allowed", error.sentence) from None
    except SecretError as error:
        raise Problem(400, "Secret cannot be used", f"A secret that a header names: {error}.") from None
    except OSError as error:
        raise Problem(400, "Target not found", f"The host of the URL has no address: {error}.") from None
    path = f"/api/v1/workspaces/{caller.workspace}/load-test-runs/{run.id}"
    return answer_json(run_as_json(run), 201, **made_at(request, path))


_START: Final = Route(
    f"/api/v1/workspaces/{{workspace}}/load-tests/{{{ID}}}/runs",
    start_load_test,
    "Start a load test, which runs on by itself",
    {JSON: schemas.reference(RUN)},
    method="POST",
    status=201,
    role="admin",
    unknown="The workspace has no such load test.",
    conflict="As many load tests run as may.",
)

ROUTES: Final = (*TESTS.routes(), _START)
COMPONENTS: Final[dict[str, Any]] = TESTS.components()
