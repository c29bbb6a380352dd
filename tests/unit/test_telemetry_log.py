"""The daemon's log: one line an event, for people or for programs, and never the values of variables."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from pathlib import Path

import pytest
import structlog

from collector.logging import configure_logging

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("restored_logging")


def fail_with_a_secret() -> None:
    password = "hunter2"
    raise ValueError(f"wrong length: {len(password)}")


def test_a_json_line_is_an_object_with_event_level_and_time() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    structlog.get_logger().info("ready", port=4317)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "ready", "level": "info", "port": 4317}


def test_a_console_line_has_no_colours_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)
    structlog.get_logger().info("ready", port=4317)
    assert stream.getvalue().endswith("ready port=4317\n")
    assert "\x1b" not in stream.getvalue()


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging("warn", "json", stream)
    structlog.get_logger().info("ready")
    structlog.get_logger().warning("trouble")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["trouble"]


@pytest.mark.parametrize("encoding", ["json", "console"])
def test_a_traceback_shows_no_values(encoding: str) -> None:
    stream = io.StringIO()
    configure_logging("info", "json" if encoding == "json" else "console", stream)
    try:
        fail_with_a_secret()
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "wrong length: 7" in stream.getvalue()
    assert "fail_with_a_secret" in stream.getvalue()
    assert '"hunter2"' not in stream.getvalue().replace('password = "hunter2"', "")
    assert "'hunter2'" not in stream.getvalue()


def test_warnings_of_libraries_come_in_the_same_form() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    logging.getLogger("asyncio").warning("slow %s", "callback")
    logging.getLogger("asyncio").info("chatter")
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["event"], line["logger"], line["level"]) == ("slow callback", "asyncio", "warning")


def test_texts_of_peers_send_no_control_characters_to_a_terminal() -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)
    structlog.get_logger().warning("refused", path="/\x1b[31m\n2026 [error] forged", name="a\x9bb", word="größer")
    logging.getLogger("library").warning("said %s", "\x1b]0;title\x07")
    text = stream.getvalue()
    assert len(text.splitlines()) == 2
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert "word=größer" in text


def test_a_traceback_keeps_its_lines() -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)
    try:
        fail_with_a_secret()
    except ValueError:
        structlog.get_logger().exception("failed")
    assert len(stream.getvalue().splitlines()) > 3


def test_events_are_called_so_that_programs_can_look_for_them() -> None:
    """A sentence would be found no more once somebody words it better: what is to be said besides stands in a note."""
    levels = {"debug", "info", "warning", "error", "exception", "unexpected"}
    sources = [file for package in ("collector", "exporters") for file in (ROOT / package).rglob("*.py")]
    calls = [
        (file.name, node.args[0])
        for file in sources
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in levels and node.args
    ]
    events = [(name, event.value) for name, event in calls if isinstance(event, ast.Constant) and isinstance(event.value, str)]
    assert ("run.py", "starting") in events
    assert [event for event in events if not re.fullmatch("[a-z_]+", event[1])] == []
