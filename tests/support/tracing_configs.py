"""Tracing configs as tests make them, and globs without regular expressions."""

from __future__ import annotations

import uuid

from collector.control.tracing_configs import TracingConfig, TracingSettings, id_of
from collector.control.versions import Stored


def config(service: str, created_at: int = 0, workspace: str = "shop", **settings: object) -> TracingConfig:
    """A config in its first version; settings are named as in JSON."""
    said = TracingSettings.model_validate({"service": service, **settings})
    return Stored(
        id_of(workspace, service), workspace, said, 1, created_at, "ann", created_at, "ann", deleted=False, write_id=uuid.uuid4()
    )


def matches(glob: str, text: str) -> bool:
    """Whether a glob stands for a text, character by character."""
    if not glob:
        return not text
    if glob[0] == "*":
        return any(matches(glob[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and glob[0] in ("?", text[0]) and matches(glob[1:], text[1:])
