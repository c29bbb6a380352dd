"""Redaction in plain Python, an attribute at a time, over protobuf messages: the oracle of that on columns."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config.redaction import RedactionProcessor
from tests.support.attribute_actions import as_text
from tests.support.requests import key_values


def redact(settings: RedactionProcessor, request: ExportTraceServiceRequest) -> None:
    """Change the message."""
    for attributes in attributes_of(request):
        _redact(settings, attributes)


def attributes_of(request: ExportTraceServiceRequest) -> Iterator[Any]:
    """All lists of attributes in a message."""
    for resource_spans in request.resource_spans:
        yield resource_spans.resource.attributes
        for scope_spans in resource_spans.scope_spans:
            yield scope_spans.scope.attributes
            for span in scope_spans.spans:
                yield span.attributes
                for each in (*span.events, *span.links):
                    yield each.attributes


def _found(patterns: tuple[str, ...], text: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


def _mask(settings: RedactionProcessor) -> Callable[[str], str]:
    key = settings.hmac_key.get_secret_value().encode()
    match settings.hash_function:
        case "":
            return lambda _: "****"
        case "hmac-sha256":
            return lambda text: hmac.new(key, text.encode(), "sha256").hexdigest()
        case "hmac-sha512":
            return lambda text: hmac.new(key, text.encode(), "sha512").hexdigest()
        case "sha3":
            return lambda text: hashlib.sha3_256(text.encode()).hexdigest()
        case name:
            return lambda text: hashlib.new(name, text.encode()).hexdigest()


def _redact(settings: RedactionProcessor, attributes: Any) -> None:
    keys: dict[str, list[str]] = {"redacted": [], "masked": [], "allowed": [], "ignored": []}
    mask, left = _mask(settings), []
    for entry in attributes:
        key, value = entry.key, entry.value
        if key in settings.ignored_keys or _found(settings.ignored_key_patterns, key):
            keys["ignored"].append(key)
        elif not settings.allow_all_keys and key not in settings.allowed_keys and not key.startswith("redaction."):
            keys["redacted"].append(key)
            continue
        else:
            text = as_text(value) if settings.redact_all_types else value.string_value
            if _found(settings.allowed_values, text):
                keys["allowed"].append(key)
            elif _found(settings.blocked_key_patterns, key):
                keys["masked"].append(key)
                value.string_value = mask(text)
            else:
                masked = text
                for pattern in settings.blocked_values:
                    masked = re.sub(pattern, lambda match: mask(match[0]), masked)
                if masked != text:
                    keys["masked"].append(key)
                    value.string_value = masked
        left.append(type(entry).FromString(entry.SerializeToString()))
    values = {entry.key: entry for entry in left}
    for fate, chosen in keys.items() if settings.summary != "silent" else ():
        _summarise(settings, values, fate, chosen)
    del attributes[:]
    attributes.extend(values.values())


def _summarise(settings: RedactionProcessor, values: dict[str, Any], fate: str, chosen: list[str]) -> None:
    if not chosen:
        return
    count_key, names_key = f"redaction.{fate}.count", f"redaction.{fate}.keys"
    before = values[count_key].value.int_value if count_key in values else 0
    values[count_key] = key_values({count_key: (before + len(chosen) + 2**63) % 2**64 - 2**63})[0]
    if settings.summary == "debug" and fate != "ignored":
        earlier = values[names_key].value.string_value if names_key in values else ""
        names = sorted([*chosen, *(earlier.split(",") if earlier else [])])
        values[names_key] = key_values({names_key: ",".join(names)})[0]
