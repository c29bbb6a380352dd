"""A topology as text that tools draw: Graphviz' DOT, and Mermaid."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from collector.query.durations import show_duration
from collector.query.percentiles import PERCENTILES
from collector.query.topology import SERVICE, Durations, Edge, Incoming, Topology

_P95: Final = PERCENTILES.index(95)
_SHAPES: Final = {SERVICE: "box", "database": "cylinder", "messaging": "cds", "user": "ellipse", "external": "component"}
"""Kind of a node → Graphviz' shape."""
_BRACKETS: Final = {SERVICE: ("[", "]"), "database": ("[(", ")]"), "messaging": ("[[", "]]"), "user": ("((", "))")}
"""Kind of a node → what stands around its label in Mermaid; a hexagon around that of others."""
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9 _./:,%()-]")


def as_dot(topology: Topology) -> str:
    """A directed graph in DOT. Source: "DOT Language" of Graphviz' documentation."""
    seconds = (topology.end - topology.start) / 1e9
    numbers = {node: number for number, node in enumerate(topology.nodes)}
    lines = [
        f"  n{numbers[node]} [label={_quoted(node.name, _facts_of_node(calls, seconds))}, shape={_SHAPES[node.kind]}];"
        for node, calls in topology.nodes.items()
    ]
    lines += [
        f"  n{numbers[edge.client]} -> n{numbers[edge.server]} [label={_quoted(*_facts_of_edge(edge, seconds))}"
        f"{', color=red' if edge.failed else ''}];"
        for edge in topology.edges
    ]
    return "\n".join(["digraph topology {", "  rankdir=LR;", *lines, "}", ""])


def as_mermaid(topology: Topology) -> str:
    """A flowchart in Mermaid. Source: "Flowcharts - Basic Syntax" of Mermaid's documentation."""
    seconds = (topology.end - topology.start) / 1e9
    numbers = {node: number for number, node in enumerate(topology.nodes)}
    lines = []
    for node, calls in topology.nodes.items():
        opening, closing = _BRACKETS.get(node.kind, ("{{", "}}"))
        lines.append(f'  n{numbers[node]}{opening}"{_entities(node.name, _facts_of_node(calls, seconds))}"{closing}')
    lines += [
        f'  n{numbers[edge.client]} -->|"{_entities(*_facts_of_edge(edge, seconds))}"| n{numbers[edge.server]}'
        for edge in topology.edges
    ]
    return "\n".join(["flowchart LR", *lines, ""])


def _facts_of_node(calls: Incoming, seconds: float) -> str:
    return _facts(calls.calls, calls.failed, calls.durations, seconds) if calls.calls else ""


def _facts_of_edge(edge: Edge, seconds: float) -> tuple[str, str]:
    durations = edge.server_durations if edge.server_durations.calls else edge.client_durations
    return edge.connection_type, _facts(edge.calls, edge.failed, durations, seconds)


def _facts(calls: float, failed: float, durations: Durations, seconds: float) -> str:
    # Three digits, and no exponent, which people do not read.
    rate = np.format_float_positional(calls / seconds, 3, unique=False, fractional=False, trim="-")
    told = [f"{rate}/s", f"{failed / calls:.2%} failed"]
    if durations.calls:
        told.append(f"p95 {show_duration(durations.percentiles[_P95])}")
    return ", ".join(told)


def _quoted(*lines: str) -> str:
    """Lines as a string of DOT, where a backslash begins an escape."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\0", "") for line in lines if line)
    return '"' + "\\n".join(escaped) + '"'


def _entities(*lines: str) -> str:
    """Lines as a text of Mermaid, in which all that could mean something is an entity: `#` and a number."""
    return "<br/>".join(_NOT_PLAIN.sub(lambda found: f"#{ord(found[0])};", line) for line in lines if line)
