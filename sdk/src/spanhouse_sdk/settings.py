"""Where the collector is, and as whom it is asked: from the environment, unless the caller says otherwise."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import SERVICE_NAME, Resource

_log = logging.getLogger("spanhouse_sdk")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_SOONEST_S: Final = 0.1


@dataclass(frozen=True)
class Settings:
    """What is known before the collector has been asked.

    Attributes:
        service: the name of this service.
        endpoint: the collector's query port, `http://host:port` or `https://host:port`.
        workspace: in which the service's configs are.
        token: that is sent as bearer, with the role `read`; None for none.
        refresh_interval_s: how often the collector is asked.
        default_rate: the share of traces that is kept until the collector has answered once.
        fault_injection: whether the service follows failure rules.
    """

    service: str
    endpoint: str = "http://localhost:4319"
    workspace: str = "default"
    token: str | None = field(default=None, repr=False)
    refresh_interval_s: float = 5.0
    default_rate: float = 1.0
    fault_injection: bool = False

    @classmethod
    def from_environment(cls, service: str | None = None, *, fault_injection: bool | None = None) -> Self:
        """The settings that SPANHOUSE_* variables say; what they cannot say is logged, and the default holds.

        Args:
            service: instead of OTEL_SERVICE_NAME or `service.name` of OTEL_RESOURCE_ATTRIBUTES.
            fault_injection: instead of SPANHOUSE_FAULT_INJECTION.
        """
        environment = os.environ
        if fault_injection is None:
            fault_injection = environment.get("SPANHOUSE_FAULT_INJECTION", "").strip().lower() in _TRUE
        return cls(
            service=service or str(Resource.create().attributes[SERVICE_NAME]),
            endpoint=_endpoint(environment.get("SPANHOUSE_ENDPOINT") or cls.endpoint),
            workspace=environment.get("SPANHOUSE_WORKSPACE") or cls.workspace,
            token=_token(environment.get("SPANHOUSE_TOKEN")),
            refresh_interval_s=_number("SPANHOUSE_REFRESH_INTERVAL", _SOONEST_S, 3600, cls.refresh_interval_s),
            default_rate=_number("OTEL_TRACES_SAMPLER_ARG", 0, 1, cls.default_rate),
            fault_injection=fault_injection,
        )


def _endpoint(text: str) -> str:
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        is_secret = "@" in parts.netloc
    except ValueError:
        fits, is_secret = False, "@" in text
    if is_secret:
        _log.warning("SPANHOUSE_ENDPOINT must have no user or password (see SPANHOUSE_TOKEN); %s is used", Settings.endpoint)
        return Settings.endpoint
    if fits and not parts.query and not parts.fragment and text.isprintable() and " " not in text:
        return text.rstrip("/")
    _log.warning("SPANHOUSE_ENDPOINT must be like http://host:4319; %s is used instead of %r", Settings.endpoint, text)
    return Settings.endpoint


def _token(text: str | None) -> str | None:
    if not text:
        return None
    if text.isascii() and text.isprintable():
        return text
    _log.warning("SPANHOUSE_TOKEN has characters that cannot be in a header; no token is sent")
    return None


def _number(name: str, least: float, most: float, default: float) -> float:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if least <= value <= most:
        return value
    _log.warning("%s must be a number from %g to %g; %g is used instead of %r", name, least, most, default, text)
    return default
