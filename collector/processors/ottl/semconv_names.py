"""The names of spans by the semantic conventions, made of their attributes as the OpenTelemetry Collector makes them. Pure.

Source: https://opentelemetry.io/docs/specs/semconv/, the pages about spans of HTTP, RPC, databases and messaging. Where an
attribute of now is missing, that of earlier versions counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from collector.processors.ottl.conversions import as_string
from config.selection import SPAN_KINDS
from config.semconv_names import NAMING_KEYS

Attributes = Mapping[str, Any]
"""Those that a span has."""

_SERVER, _CLIENT, _PRODUCER, _CONSUMER = (SPAN_KINDS.index(kind) for kind in ("SERVER", "CLIENT", "PRODUCER", "CONSUMER"))


def new_name(name: str, kind: int, *values: Any) -> str | None:
    """The name of a span by the conventions; None where it has that already, or they do not name it.

    Args:
        values: of the attributes NAMING_KEYS, None for those that are missing.
    """
    attributes = {key: value for key, value in zip(NAMING_KEYS, values, strict=True) if value is not None}
    named = next(filter(None, (rule(attributes) for rule in _RULES.get(kind, ()))), name)
    return None if named == name else named


def _http(attributes: Attributes, subject: str) -> str:
    method = _text(attributes, "http.request.method", "http.method")
    if method is None:
        return ""
    return method if subject not in attributes else f"{method} {_text(attributes, subject)}"


def _rpc(attributes: Attributes) -> str:
    system = _text(attributes, "rpc.system.name", "rpc.system")
    method = _text(attributes, "rpc.method", "rpc.grpc.method")
    service = _text(attributes, "rpc.service", "rpc.grpc.service")
    if system is None:
        return ""
    if service is None:
        return system if method is None else method
    return f"{service}/{'*' if method is None else method}"


def _database(attributes: Attributes) -> str:
    system = _text(attributes, "db.system.name", "db.system")
    if system is None:
        return ""
    summary = _text(attributes, "db.query.summary")
    if summary is not None:
        return summary
    parts = (_text(attributes, "db.operation.name", "db.operation"), _database_target(attributes))
    return " ".join(filter(None, parts)) or system


def _database_target(attributes: Attributes) -> str:
    namespace = _text(attributes, "db.namespace", "db.name")
    within = _text(attributes, "db.collection.name", "db.stored_procedure.name")
    if within is not None:
        return f"{namespace}.{within}" if namespace else within
    return namespace or _server(attributes)


def _messaging(attributes: Attributes) -> str:
    system = _text(attributes, "messaging.system")
    if system is None:
        return ""
    operation, destination = _text(attributes, "messaging.operation.name", "messaging.operation"), _destination(attributes)
    if operation is None:
        return destination or system
    return f"{operation} {destination}" if destination else operation


def _destination(attributes: Attributes) -> str:
    for which in ("temporary", "anonymous"):
        if attributes.get(f"messaging.destination.{which}") is True:
            return f"({which})"
    destination = _text(attributes, "messaging.destination.template", "messaging.destination.name", "messaging.destination")
    return _server(attributes) if destination is None else destination


def _server(attributes: Attributes) -> str:
    parts = (_text(attributes, key) for key in ("server.address", "server.port") if "server.address" in attributes)
    return ":".join(part for part in parts if part is not None)


def _text(attributes: Attributes, *keys: str) -> str | None:
    """The first of these attributes that is there, as a text."""
    return next((as_string(attributes[key]) for key in keys if key in attributes), None)


_RULES: Final[Mapping[int, tuple[Callable[[Attributes], str], ...]]] = {
    _SERVER: (lambda attributes: _http(attributes, "http.route"), _rpc, _messaging),
    _CLIENT: (lambda attributes: _http(attributes, "url.template"), _rpc, _database, _messaging),
    _PRODUCER: (_messaging,),
    _CONSUMER: (_messaging,),
}
"""Kind of a span → what may name it; what comes first counts."""
