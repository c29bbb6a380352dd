"""/api/v1/workspaces/{workspace}/tracing-configs: what is kept of the spans of services, changed while the daemon runs."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from collector.api import params, schemas
from collector.api.bodies import invalid_body, read_object, validated
from collector.api.params import Parameter
from collector.api.problems import Problem
from collector.api.routing import CALLER, CONFIGS, JSON, SETTINGS, Route, made_at
from collector.api.services import NAME_CURSOR, next_cursor
from collector.api.versioned import (
    VERSIONS,
    answer_json,
    answer_versions,
    answer_with,
    check_room,
    conflicting,
    named_version,
    outdated,
    path_id,
)
from collector.control.policies import Policies
from collector.control.tracing_configs import TracingConfig, TracingSettings, id_of
from collector.control.versions import Conflict

_log = structlog.get_logger(__name__)

LIMIT: Final = params.limit(100, 1000, "configs")
ENABLED: Final[Parameter[bool | None]] = params.flag("enabled", "Only configs that are enabled, or only those that are not.")
CONTAINS: Final = params.optional_text("contains", "Only configs with this in the name or glob of their services.", "cart")
SERVICE: Final[Parameter[str]] = Parameter(
    "service", "The name of a service, or the glob of a config.", {"type": "string"}, str, "", required=True, example="cart-*"
)

_MOST_TOGGLES: Final = 100
_NOUN: Final = "tracing config"


class _Toggle(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: uuid.UUID
    version: Annotated[int, Field(ge=1, strict=True)]


class _Toggles(BaseModel):
    model_config = ConfigDict(extra="forbid")

    enabled: Annotated[bool, Field(strict=True)]
    configs: Annotated[list[_Toggle], Field(min_length=1, max_length=_MOST_TOGGLES)]


async def create_tracing_config(request: web.Request) -> web.Response:
    """Make a config."""
    settings = validated(TracingSettings, await read_object(request))
    caller, configs = request[CALLER], request.app[CONFIGS]
    await check_room(request, configs, _NOUN)
    try:
        made = await configs.create(caller.workspace, settings, caller.principal.name)
    except Conflict as conflict:
        detail = f"service: there is a config for {settings.service!r}, {conflict.current.id}; change that one."
        raise conflicting(detail, conflict.current) from None
    _tell("created", made)
    return answer_with(made, 201, **made_at(request, f"{request.path}/{made.id}"))


async def list_tracing_configs(request: web.Request) -> web.Response:
    """Configs by the names and globs of their services."""
    return await _page(request, ENABLED.read(request.query))


async def list_enabled_tracing_configs(request: web.Request) -> web.Response:
    """Those of the configs that are enabled."""
    return await _page(request, enabled=True)


async def list_disabled_tracing_configs(request: web.Request) -> web.Response:
    """Those of the configs that are not enabled."""
    return await _page(request, enabled=False)


async def get_tracing_config(request: web.Request) -> web.Response:
    """The config of an id."""
    return answer_with(await _config(request))


async def get_tracing_config_by_service(request: web.Request) -> web.Response:
    """The config for a name or a glob, as it was written."""
    service, workspace = SERVICE.read(request.query), request[CALLER].workspace
    return answer_with(await _config(request, id_of(workspace, service)))


async def check_tracing(request: web.Request) -> web.Response:
    """Whether spans of a service are kept, at what rate, and what says so."""
    service, workspace = SERVICE.read(request.query), request[CALLER].workspace
    policies = Policies(await request.app[CONFIGS].all(workspace))
    policy = policies.policy(workspace, service) or request.app[SETTINGS].default_policy()
    config = policy.config
    rule = "default" if config is None else "glob" if config.settings.is_glob else "exact"
    return answer_json(
        {
            "service": service,
            "traced": policy.enabled and policy.sampling_rate > 0,
            "samplingRate": policy.sampling_rate if policy.enabled else 0.0,
            "excludedPaths": [] if config is None else config.settings.excluded_paths,
            "propagateContext": config is None or config.settings.propagate_context,
            "rule": rule,
            "config": None if config is None else config.as_json(),
        }
    )


async def replace_tracing_config(request: web.Request) -> web.Response:
    """Say anew what a config says."""
    version = named_version(request)
    settings = validated(TracingSettings, await read_object(request))
    return await _change(request, await _config_at(request, version), settings)


async def change_tracing_config(request: web.Request) -> web.Response:
    """Change some of what a config says."""
    version = named_version(request)
    change = await read_object(request)
    seen = await _config_at(request, version)
    return await _change(request, seen, validated(TracingSettings, {**seen.settings.model_dump(by_alias=True), **change}))


async def toggle_tracing_config(request: web.Request) -> web.Response:
    """Enable a config that is not, or the other way."""
    seen = await _config_at(request, named_version(request))
    return await _change(request, seen, _enabled(seen.settings, enabled=not seen.settings.enabled))


async def toggle_tracing_configs(request: web.Request) -> web.Response:
    """Enable or disable many configs; each succeeds or fails by itself."""
    wanted = validated(_Toggles, await read_object(request))
    return answer_json({"results": [await _toggle(request, each, enabled=wanted.enabled) for each in wanted.configs]})


async def delete_tracing_config(request: web.Request) -> web.Response:
    """End a config."""
    seen = await _config_at(request, named_version(request))
    try:
        await request.app[CONFIGS].delete(seen, request[CALLER].principal.name)
    except Conflict as conflict:
        raise outdated("config", seen.version, conflict.current) from None
    _tell("deleted", seen)
    return web.Response(status=204)


async def list_tracing_config_versions(request: web.Request) -> web.Response:
    """What a config has said, and who said it."""
    configs = request.app[CONFIGS]
    return await answer_versions(request, configs, path_id(request, "config_id"), _NOUN)


async def _page(request: web.Request, enabled: bool | None) -> web.Response:
    query = request.query
    limit = LIMIT.read(query)
    found = await request.app[CONFIGS].page(
        request[CALLER].workspace,
        limit + 1,
        after=NAME_CURSOR.read(query) or "",
        enabled=enabled,
        contains=CONTAINS.read(query) or "",
    )
    names = [config.settings.service for config in found]
    return answer_json({"configs": [config.as_json() for config in found[:limit]], "nextCursor": next_cursor(names, limit)})


async def _toggle(request: web.Request, wanted: _Toggle, *, enabled: bool) -> dict[str, Any]:
    configs, caller = request.app[CONFIGS], request[CALLER]
    seen = await configs.get(caller.workspace, wanted.id)
    status = 200
    if seen is not None and seen.version == wanted.version:
        try:
            seen = await configs.change(seen, _enabled(seen.settings, enabled=enabled), caller.principal.name)
            _tell("changed", seen)
        except Conflict as conflict:
            status, seen = 409, None if conflict.current.deleted else conflict.current
    else:
        status = 404 if seen is None else 409
    return {"id": str(wanted.id), "status": status, "config": None if seen is None else seen.as_json()}


async def _change(request: web.Request, seen: TracingConfig, settings: TracingSettings) -> web.Response:
    if settings.service != seen.settings.service:
        detail = f"is {seen.settings.service!r} for as long as there is this config; make another one"
        raise invalid_body([{"field": "service", "value": settings.service, "detail": detail}])
    try:
        changed = await request.app[CONFIGS].change(seen, settings, request[CALLER].principal.name)
    except Conflict as conflict:
        raise outdated("config", seen.version, conflict.current) from None
    _tell("changed", changed)
    return answer_with(changed)


async def _config_at(request: web.Request, version: int) -> TracingConfig:
    """The config that the path names, which must still be at this version."""
    seen = await _config(request)
    if seen.version != version:
        raise outdated("config", version, seen)
    return seen


async def _config(request: web.Request, config_id: uuid.UUID | None = None) -> TracingConfig:
    """The config of an id, or of that in the path."""
    found = await request.app[CONFIGS].get(request[CALLER].workspace, config_id or path_id(request, "config_id"))
    if found is None:
        raise Problem(404, "Not found", f"The workspace has no such {_NOUN}.")
    return found


def _enabled(settings: TracingSettings, *, enabled: bool) -> TracingSettings:
    return settings.model_copy(update={"enabled": enabled})


def _tell(what: str, config: TracingConfig) -> None:
    _log.info(
        f"tracing_config_{what}",
        workspace=config.workspace,
        service=config.settings.service,
        id=str(config.id),
        version=config.version,
        by=config.updated_by,
    )


_ALL: Final = "/api/v1/workspaces/{workspace}/tracing-configs"
_ONE: Final = f"{_ALL}/{{config_id}}"
_CONFIG: Final = {JSON: schemas.reference("TracingConfig")}
_LIST: Final = {JSON: schemas.reference("TracingConfigs")}
_UNKNOWN: Final = "The workspace has no such config."
_CHANGING: Final[dict[str, Any]] = {
    "unknown": _UNKNOWN,
    "conflict": "Somebody else has changed the config; the answer has both versions and what it says now.",
    "names_version": True,
    "role": "admin",
}

ROUTES: Final = (
    Route(_ALL, list_tracing_configs, "Tracing configs of a workspace", _LIST, (ENABLED, CONTAINS, LIMIT, NAME_CURSOR)),
    Route(
        _ALL,
        create_tracing_config,
        "Make a tracing config",
        _CONFIG,
        conflict="There is a config for this name or glob, or the workspace has as many as it may.",
        method="POST",
        status=201,
        body=schemas.reference("TracingSettings"),
        role="admin",
    ),
    Route(f"{_ALL}/enabled", list_enabled_tracing_configs, "Those that are enabled", _LIST, (CONTAINS, LIMIT, NAME_CURSOR)),
    Route(f"{_ALL}/disabled", list_disabled_tracing_configs, "Those that are not", _LIST, (CONTAINS, LIMIT, NAME_CURSOR)),
    Route(
        f"{_ALL}/by-service",
        get_tracing_config_by_service,
        "The config for a name or glob",
        _CONFIG,
        (SERVICE,),
        unknown=_UNKNOWN,
    ),
    Route(
        f"{_ALL}/check",
        check_tracing,
        "Whether a service is traced, at what rate, by which rule",
        {JSON: schemas.reference("TracingCheck")},
        (SERVICE,),
    ),
    Route(
        f"{_ALL}/toggle",
        toggle_tracing_configs,
        "Enable or disable many configs",
        {JSON: schemas.reference("TracingTogglesDone")},
        method="POST",
        body=schemas.reference("TracingToggles"),
        role="admin",
    ),
    Route(_ONE, get_tracing_config, "A tracing config", _CONFIG, unknown=_UNKNOWN),
    Route(
        _ONE,
        replace_tracing_config,
        "Replace what a tracing config says",
        _CONFIG,
        method="PUT",
        body=schemas.reference("TracingSettings"),
        **_CHANGING,
    ),
    Route(
        _ONE,
        change_tracing_config,
        "Change some of what a tracing config says",
        _CONFIG,
        method="PATCH",
        body=schemas.reference("TracingSettingsChange"),
        **_CHANGING,
    ),
    Route(_ONE, delete_tracing_config, "End a tracing config", {}, method="DELETE", status=204, **_CHANGING),
    Route(f"{_ONE}/toggle", toggle_tracing_config, "Enable or disable a tracing config", _CONFIG, method="POST", **_CHANGING),
    Route(
        f"{_ONE}/versions",
        list_tracing_config_versions,
        "What a tracing config has said, and who said it, the latest first",
        {JSON: schemas.reference("TracingConfigVersions")},
        VERSIONS,
        unknown=_UNKNOWN,
    ),
)
