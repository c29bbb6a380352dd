"""How much a span may hold: the settings of the processor `limits`."""

from typing import Annotated

from pydantic import AfterValidator

from config.section import Section
from config.values import Count

_LEAST_VALUE_BYTES = 16


def _room_for_a_mark(value: int) -> int:
    if 0 < value < _LEAST_VALUE_BYTES:
        raise ValueError(f"must be 0 or at least {_LEAST_VALUE_BYTES}")
    return value


class LimitsProcessor(Section):
    """Shortens what is too long in spans, and removes what is too much. The Collector has no such processor."""

    max_value_bytes: Annotated[Count, AfterValidator(_room_for_a_mark)] = 65_536
    """Texts of attributes above this many bytes are cut and end with `…`; other values are removed; 0 is no limit."""
    max_attributes: Count = 128
    """Resources, scopes, spans, events and links keep this many attributes each, the first ones; 0 is no limit."""
    max_events: Count = 128
    """Spans keep this many events, the first ones; 0 is no limit."""
    max_links: Count = 128
    """Spans keep this many links, the first ones; 0 is no limit."""
