"""Checks that hold between sections: names in `service`, and addresses that two servers would share."""

import re
from collections.abc import Iterator
from typing import Any

from config.alerting import AlertingExtension
from config.document import Document
from config.extensions import QueryExtension
from config.load_tests import LoadTestsExtension
from config.model import KINDS, Config
from config.problems import KeyPath, Problem, alternatives, key_path, printable
from config.remote_sampling import RemoteSamplingExtension
from config.service_policy import ServicePolicyProcessor
from config.values import TcpAddress, UnixAddress

_COMPONENT_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}(?:/[^\s/](?:[^\r\n]{0,1022}[^\s])?)?", re.ASCII)
_PIPELINE: KeyPath = ("service", "pipelines", "traces")


def check_component_id(component_id: str) -> str:
    """What is wrong with the id of a component; empty when it is `type` or `type/name`."""
    if _COMPONENT_ID.fullmatch(component_id):
        return ""
    return "must be named type or type/name, such as otlp or otlp/internal"


def check_references(document: Document) -> Iterator[Problem]:
    """Find names in `service` that are not defined or stand twice, and components that `service` does not name.

    Works on the file as written, so that a mistake inside a component does not hide one in its use.
    """
    connectors = _names(_at(document.value, ("connectors",)))
    for kind in KINDS:
        known = _names(_at(document.value, (kind.section,)))
        at: KeyPath = ("service", "extensions") if kind.section == "extensions" else (*_PIPELINE, kind.section)
        named = _at(document.value, at)
        used: set[str] = set()
        for position, name in enumerate(named if isinstance(named, list) else []):
            path = (*at, position)
            if not isinstance(name, str):
                continue
            shown = printable(document.written.get(path, name))
            if name in used:
                yield _problem(document, path, f"names {kind.word} {shown} a second time")
            elif name not in known and name in connectors:
                yield _problem(document, path, f"names {shown}, a connector, which this release does not have", "leave it out")
            elif name not in known:
                hint = alternatives(name, known, f"defined {kind.section}")
                yield _problem(document, path, f"names {kind.word} {shown}, which is not defined", hint)
            used.add(name)
        if not isinstance(_at(document.value, at[:-1]), dict):
            continue  # what should name them is missing altogether, which is a problem of its own
        for name in known:
            if name not in used:
                hint = f"add it to {key_path(at)}, or remove it"
                yield _problem(document, (kind.section, name), "is defined but not used", hint)


def check_single(document: Document) -> Iterator[Problem]:
    """Find a second one where there can be but one."""
    for path, component, reason in (
        (("service", "extensions"), "journal", "there is one journal, for all exporters"),
        ((*_PIPELINE, "processors"), "batch", "spans are batched once, in front of the exporters"),
        ((*_PIPELINE, "processors"), "red_metrics", "spans are counted once; name all dimensions there"),
        ((*_PIPELINE, "processors"), "service_policy", "each service has one policy"),
        ((*_PIPELINE, "processors"), "adaptive_sampling", "traces are counted once"),
        (("service", "extensions"), "jaeger_remote_sampling", "SDKs are told the same wherever they ask"),
        (("service", "extensions"), "load_tests", "limits go for all load tests"),
        (("service", "extensions"), "alerting", "people are told of an alert once"),
        ((*_PIPELINE, "processors"), "topology", "calls are counted once"),
        ((*_PIPELINE, "processors"), "tail_sampling", "traces are decided once; join the policies"),
    ):
        named = _at(document.value, path)
        positions = [
            position
            for position, name in enumerate(named if isinstance(named, list) else [])
            if isinstance(name, str) and name.partition("/")[0] == component
        ]
        for position in positions[1:]:
            yield _problem(document, (*path, position), f"names a second {component}", reason)


def check_stores(config: Config, document: Document) -> Iterator[Problem]:
    """Find what needs a store where there is none."""
    for position, name in enumerate(config.service.pipelines.traces.processors):
        if isinstance(config.processors[name], ServicePolicyProcessor) and not config.stores:
            message = f"names {name}, which asks ClickHouse for tracing configs"
            yield _problem(document, (*_PIPELINE, "processors", position), message, "add a clickhouse exporter")
    for name, extension in config.extensions.items():
        if isinstance(extension, RemoteSamplingExtension) and extension.adaptive is not None and not config.stores:
            message = "keeps what it reckons in ClickHouse"
            yield _problem(document, ("extensions", name, "adaptive"), message, "add a clickhouse exporter")
        if isinstance(extension, LoadTestsExtension) and not config.stores:
            message = "is of no use: there is no store for what comes of load tests"
            yield _problem(document, ("extensions", name), message, "add a clickhouse exporter")
        if isinstance(extension, AlertingExtension) and not config.stores:
            message = "measures spans in ClickHouse, and keeps there what happened"
            yield _problem(document, ("extensions", name), message, "add a clickhouse exporter")


def check_listeners(config: Config, document: Document) -> Iterator[Problem]:
    """Find servers that would listen on the same address."""
    taken: dict[TcpAddress | UnixAddress, KeyPath] = {}
    for path, address in _listeners(config):
        if isinstance(address, TcpAddress) and address.port == 0:
            continue
        if address in taken:
            yield _problem(document, path, f"is the address of {key_path(taken[address])}")
        taken.setdefault(address, path)


def _listeners(config: Config) -> Iterator[tuple[KeyPath, TcpAddress | UnixAddress]]:
    for name, receiver in config.receivers.items():
        for keys, server in receiver.listeners.items():
            yield ("receivers", name, *keys, "endpoint"), server.address
    for name, exporter in config.stores.items():
        if exporter.is_embedded:
            yield ("exporters", name, "embedded", "listen"), exporter.embedded.address
    for name, extension in config.extensions.items():
        if isinstance(extension, QueryExtension):
            yield ("extensions", name, "endpoint"), extension.address
        elif isinstance(extension, RemoteSamplingExtension):
            for key, listener in extension.listeners.items():
                yield ("extensions", name, key, "endpoint"), listener.address


def _names(section: Any) -> list[str]:
    return list(section) if isinstance(section, dict) else []


def _at(value: Any, path: KeyPath) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _problem(document: Document, path: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(key_path(path), document.line(path), message, hint)
