"""The daemon's own log on standard error: lines for people, or JSON for programs."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, Literal, TextIO

import structlog

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}

Encoding = Literal["console", "json"]


def configure_logging(level: str = "info", encoding: Encoding = "console", stream: TextIO | None = None) -> None:
    """Send every log line of the process to one place and in one form, those of libraries included.

    Args:
        level: least severe kind of line that is written: `debug`, `info`, `warn` or `error`.
        encoding: `console`, in colour on a terminal, or `json`, one object a line.
        stream: where to; standard error when None.
    """
    stream = stream or sys.stderr
    threshold = _LEVELS[level]
    enrich: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = _renderers(encoding, colours=stream.isatty())
    structlog.configure(
        processors=[*enrich, *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    libraries = logging.StreamHandler(stream)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*enrich, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    # What libraries tell below a warning is about themselves, not about spans.
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[libraries], force=True)


def _renderers(encoding: Encoding, *, colours: bool) -> list[structlog.typing.Processor]:
    if encoding == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Never tracebacks with the values of variables: they may hold a password, or somebody's spans.
    return [
        _escape_controls,
        # Keys as they were given: what matters most comes first.
        structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0, sort_keys=False
        ),
    ]


def _escape_controls(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Show control characters instead of sending them to a terminal: peers choose some of the texts."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in value)
    return event
