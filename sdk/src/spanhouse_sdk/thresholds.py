"""Sampling probabilities as 56-bit thresholds, and where spans carry them: the member `ot` of their trace state.

Source: the OpenTelemetry specification, "TraceState: Probability Sampling". A trace is kept if its randomness, from 0 to
2**56 - 1, is at least the threshold. Arithmetic and precision are those of the collector, so that both keep the same traces.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from opentelemetry.trace import TraceState

NEVER: Final = 1 << 56
"""A threshold that no randomness reaches. It has no text: never is not a probability."""

_MEMBER: Final = "ot"
_DIGITS: Final = 14
_PRECISION: Final = 4
"""Hexadecimal digits of thresholds, as the Collector has by default."""
_SMALLEST: Final = 2.0**-56
_LONGEST: Final = 256
_REMEMBERED: Final = 256
"""Most traces have one of the few thresholds that services sample with."""
_ENTRY: Final = re.compile(r"(?P<key>[a-z][a-z0-9]*):(?P<value>[A-Za-z0-9._\-]*)")
_THRESHOLD: Final = re.compile(r"[0-9a-f]{1,14}")
_RANDOMNESS: Final = re.compile(r"[0-9a-f]{14}")


def threshold(rate: float) -> int:
    """The threshold of a rate from 0 to 1; NEVER for rates that are too small to be one."""
    if rate < _SMALLEST:
        return NEVER
    exact = NEVER - math.floor(rate * NEVER + 0.5)
    # Digits count behind leading zeros or fs: a rate of 2**-4 has one more leading f than one of 1.
    leading = -min(math.frexp(rate)[1], math.frexp(1 - rate)[1], 0) // 4
    unit: int = 16 ** (_DIGITS - min(_DIGITS, _PRECISION + leading))
    return (exact + unit // 2) // unit * unit


def threshold_text(threshold: int) -> str:
    """A threshold below NEVER as the value of `th`."""
    return f"{threshold:0{_DIGITS}x}".rstrip("0") or "0"


def randomness(trace_id: int, state: TraceState | None) -> int:
    """The randomness of a trace: `rv` of its trace state, else the lower 56 bits of its id."""
    text = state.get(_MEMBER) if state else None
    entries = _entries(text) if text else None
    value = entries.get("rv") if entries else None
    return trace_id & (NEVER - 1) if value is None else int(value, 16)


def with_threshold(state: TraceState | None, threshold: int | None) -> TraceState | None:
    """The trace state with this threshold, or without one if it is None; a member `ot` that cannot be read is left alone."""
    text = state.get(_MEMBER, "") if state else ""
    value = _member(text, threshold)
    # Callers that sample at the same rate have written what would be written here.
    if value is None or (state and value == text and next(iter(state)) == _MEMBER):
        return state
    rest = [(key, member) for key, member in state.items() if key != _MEMBER] if state else []
    # What has changed comes first, and what there is no room for any more is left out from the end, as W3C wants it.
    return TraceState([*([(_MEMBER, value)] if value else []), *rest][:32])


@lru_cache(_REMEMBERED)
def _member(text: str, threshold: int | None) -> str | None:
    """The member `ot` with another threshold, and as many of its entries as there is room for; None where it cannot be read."""
    entries = _entries(text)
    if entries is None:
        return None
    others = [f"{key}:{value}" for key, value in entries.items() if key != "th"]
    own = others if threshold is None else [f"th:{threshold_text(threshold)}", *others]
    while len(value := ";".join(own)) > _LONGEST:
        own.pop()
    return value


@lru_cache(_REMEMBERED)
def _entries(text: str) -> Mapping[str, str] | None:
    """What a member `ot` says; None where it is not well formed."""
    if not text:
        return {}
    if len(text) > _LONGEST:
        return None
    entries: dict[str, str] = {}
    for part in text.split(";"):
        entry = _ENTRY.fullmatch(part)
        if entry is None or entry["key"] in entries:
            return None
        entries[entry["key"]] = entry["value"]
    for key, form in (("th", _THRESHOLD), ("rv", _RANDOMNESS)):
        if key in entries and not form.fullmatch(entries[key]):
            return None
    return entries
