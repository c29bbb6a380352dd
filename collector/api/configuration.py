"""GET /api/v1/config and POST /api/v1/config/reload."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from collector.api import rendering, schemas
from collector.api.problems import Problem, Refusal
from collector.api.routing import CALLER, JSON, RUNNING, Route
from config.problems import ConfigError
from config.secrecy import masked


async def show_config(request: web.Request) -> web.Response:
    """The configuration that runs."""
    _check_sees_all(request)
    return rendering.json_response({"configuration": masked(request.app[RUNNING].config)})


async def reload_config(request: web.Request) -> web.Response:
    """Read the configuration file again."""
    _check_sees_all(request)
    try:
        reloaded = await request.app[RUNNING].reload()
    except ConfigError as error:
        found = [{"key": each.path, "line": each.line, "message": each.message, "hint": each.hint} for each in error.problems]
        detail = "The configuration file has mistakes; the configuration before it stays in force."
        raise Problem(422, "Invalid configuration", detail, problems=found) from None
    return rendering.json_response({"applied": reloaded.applied, "atRestart": reloaded.at_restart})


def _check_sees_all(request: web.Request) -> None:
    """The configuration is everybody's: who may see only some workspaces may not see it."""
    principal = request[CALLER].principal
    if principal.workspaces is not None:
        detail = f"{principal.name} may use some workspaces only; this needs all of them."
        raise Refusal("permission_denied", 403, "Not allowed", detail)


ROUTES: Final = (
    Route(
        "/api/v1/config",
        show_config,
        "The configuration that runs, with all defaults; secrets are masked",
        {JSON: schemas.reference("RunningConfiguration")},
        role="admin",
    ),
    Route(
        "/api/v1/config/reload",
        reload_config,
        "Read the configuration file again, and put in force what may change without a restart",
        {JSON: schemas.reference("Reloaded")},
        method="POST",
        role="admin",
    ),
)
