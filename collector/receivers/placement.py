"""Puts the spans of each resource into the workspace that an attribute of the resource names."""

from __future__ import annotations

import dataclasses

import numpy as np

from collector.access import Caller
from config.access import is_workspace_name
from proto.spans import STRING, SpanBatch


def place(batch: SpanBatch, attribute: bytes, caller: Caller) -> tuple[SpanBatch, tuple[str, ...]]:
    """The batch with a workspace for each resource, and a sentence about each kind of name that cannot be followed.

    Costs are per resource, not per span. Resources without the attribute, and those that name what is no workspace or none that
    the caller may use, stay in the workspace of the request.

    Args:
        batch: of one request, all in one workspace.
        attribute: the key of the attribute, in UTF-8.
        caller: who made the request.
    """
    names = {caller.workspace: 0}
    placed = np.zeros(len(batch.resources), np.int32)
    faults: dict[str, str] = {}
    for position, resource in enumerate(batch.resources):
        name = _named(batch, int(resource["attributes_start"]), int(resource["attributes_count"]), attribute)
        if name is None:
            continue
        fault = _fault(name, caller)
        if fault:
            faults.setdefault(fault, f"{attribute.decode()}={name[:80]!r}: {fault}; its spans are in {caller.workspace}")
        else:
            placed[position] = names.setdefault(name, len(names))
    workspaces = tuple(names)
    if len(placed) and (placed == placed[0]).all():
        batch = dataclasses.replace(batch, workspaces=(workspaces[placed[0]],))
    elif len(placed):
        resources = batch.resources.copy()
        resources["workspace"] = placed
        batch = dataclasses.replace(batch, resources=resources, workspaces=workspaces)
    return batch, tuple(faults.values())


def amounts(batch: SpanBatch, size: int) -> dict[str, tuple[int, int]]:
    """Bytes and spans of a request by workspace.

    Args:
        batch: made of the request.
        size: of the request, in bytes.
    """
    if len(batch.workspaces) == 1:
        return {batch.workspaces[0]: (size, len(batch))}
    workspace = batch.resources["workspace"][batch.scopes["resource"][batch.spans["scope"]]]
    spans = np.bincount(workspace, minlength=len(batch.workspaces)).tolist()
    weights = np.bincount(workspace, batch.spans["wire_length"], len(batch.workspaces)).tolist()
    return {name: (round(weights[index]), spans[index]) for index, name in enumerate(batch.workspaces) if spans[index]}


def _named(batch: SpanBatch, start: int, count: int, key: bytes) -> str | None:
    """The value of a resource's attribute if it is a text, else None; the last one where the key stands there twice."""
    attributes = batch.attributes[start : start + count]
    fitting = np.flatnonzero((attributes["key_length"] == len(key)) & (attributes["type"] == STRING))
    for row in reversed(fitting):
        found = attributes[row]
        if _text(batch, int(found["key_offset"]), len(key)) == key:
            return _text(batch, int(found["value_offset"]), int(found["value_length"])).decode(errors="replace")
    return None


def _text(batch: SpanBatch, offset: int, length: int) -> bytes:
    return batch.data[offset : offset + length].tobytes()


def _fault(name: str, caller: Caller) -> str:
    if not is_workspace_name(name):
        return "not the name of a workspace: 1 to 64 letters, digits, dots, underscores and hyphens"
    return "" if caller.principal.sees(name) else f"not a workspace that {caller.principal.name} may use"
