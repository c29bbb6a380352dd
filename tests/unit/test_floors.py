"""Imports point down only: between the packages, and between the floors inside `collector`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAY_USE = {
    "proto": {"proto"},
    "config": {"config"},
    "exporters": {"exporters", "proto"},
    "collector": {"collector", "exporters", "config", "proto"},
}
"""Package → packages that it may import."""

FLOORS = (
    {"__main__"},
    {"commands"},
    {"replay", "demo", "doctor", "grafana"},
    {"cli"},  # loads commands by their names when they are asked for, and is where they find what a mistake of a user is
    {"daemon"},
    {"embedded", "receiving", "query_port", "journaling"},
    {"health", "tracing_control"},
    {"receivers", "api", "pipeline"},
    {"monitor"},
    {"processors", "journal"},
    {"query", "queues", "control"},
    {"telemetry", "tls", "access"},
    {"tokens", "http_connection", "running", "component_telemetry", "grouped_sketches"},
    {
        "consumer",
        "fair_turns",
        "histogram",
        "kernels",
        "ledger",
        "metrics",
        "logging",
        "open_files",
        "reloading",
        "scarce_memory",
        "service_graph",
        "sketch",
        "span_metrics",
        "spaced_log",
        "time_limit",
    },
    {"calls", "errors", "clock", "directories", "egress", "failure_marks", "memory", "series_bound", "trace_decisions"},
)
"""Rooms of `collector`, from the top. A room may use the floors below its own, and itself."""

FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(file: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: imports are written in full"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """The part of `collector` that a module is in: `collector.api.app` is in `api`."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("package", MAY_USE)
def test_a_package_imports_only_packages_below_it(package: str) -> None:
    ours = set(MAY_USE)
    wrong = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in sources(package)
        for name in imports(file)
        if name.partition(".")[0] in ours - MAY_USE[package]
    ]
    assert wrong == []


def test_a_room_of_the_collector_imports_only_floors_below_it() -> None:
    wrong = []
    for file in sources("collector"):
        own = file.relative_to(ROOT / "collector").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for name in imports(file):
            used = room(name) if name.startswith("collector.") else ""
            if used and used != own and FLOOR_OF[used] <= FLOOR_OF[own]:
                wrong.append(f"{file.relative_to(ROOT)}: {name}")
    assert wrong == []


def test_every_room_of_the_collector_has_a_floor() -> None:
    rooms = {path.stem for path in (ROOT / "collector").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set(FLOOR_OF)
