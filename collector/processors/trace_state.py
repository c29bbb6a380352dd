"""What a span's trace state says about sampling: the list member `ot=th:...;rv:...`.

Sources: W3C Trace Context, section 3.3; the OpenTelemetry specification, "TraceState Handling".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from collector.processors.probability import DIGITS, read_threshold, threshold_text

_MEMBER: Final = re.compile(
    r"(?P<key>[a-z0-9][a-z0-9_\-*/]{0,240}(?:@[a-z][a-z0-9_\-*/]{0,13})?|[a-z][a-z0-9_\-*/]{0,255})"
    r"=(?P<value>[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_ENTRY: Final = re.compile(r"(?P<key>[a-z][a-z0-9]*):(?P<value>[A-Za-z0-9._\-]*)")
_THRESHOLD: Final = re.compile(r"[0-9a-f]{1,14}")
_RANDOMNESS: Final = re.compile(r"[0-9a-f]{14}")
_MOST_MEMBERS: Final = 32
_MOST_CHARACTERS: Final = 256
"""The most that the value of `ot` may take."""

RANDOMNESS_HOLE: Final = b"?" * DIGITS
"""Stands in a text for a randomness that is written later: `?` is in no value of `ot`."""


@dataclass(frozen=True, slots=True)
class TraceState:
    """A trace state, read.

    Attributes:
        threshold, randomness: of `th` and `rv`, from 0 to 2**56 - 1; None without them.
        entries: what else the member `ot` says, `key:value` each.
        members: the other members of the list, in their order.
    """

    threshold: int | None = None
    randomness: int | None = None
    entries: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    def with_threshold(self, threshold: int | None, *, randomness_hole: bool = False) -> bytes:
        """The text with this threshold, and without one if it is None; with room for a randomness where that is asked for.

        What has changed comes first, and what there is no room for any more is left out from the end, as W3C wants it.
        """
        own = [] if threshold is None else [f"th:{threshold_text(threshold)}"]
        if randomness_hole:
            own.append(f"rv:{RANDOMNESS_HOLE.decode()}")
        elif self.randomness is not None:
            own.append(f"rv:{self.randomness:0{DIGITS}x}")
        entries = [*own, *self.entries]
        while len(";".join(entries)) > _MOST_CHARACTERS:
            entries.pop()
        member = [f"ot={';'.join(entries)}"] if entries else []
        return ",".join([*member, *self.members][:_MOST_MEMBERS]).encode()


def read_trace_state(text: bytes) -> TraceState | None:
    """Read a span's trace state; None where it is not well formed, its member `ot` included."""
    own: str | None = None
    members = []
    for part in text.decode("utf-8", "replace").split(","):
        if not (member := part.strip(" \t")):
            continue
        match = _MEMBER.fullmatch(member)
        if match is None:
            return None
        if match["key"] != "ot":
            members.append(member)
        elif own is not None:
            return None
        else:
            own = match["value"]
    if len(members) + (own is not None) > _MOST_MEMBERS:
        return None
    return TraceState(members=tuple(members)) if own is None else _read_own(own, tuple(members))


def _read_own(value: str, members: tuple[str, ...]) -> TraceState | None:
    if len(value) > _MOST_CHARACTERS:
        return None
    known: dict[str, str] = {}
    others = []
    for entry in value.split(";"):
        match = _ENTRY.fullmatch(entry)
        if match is None or match["key"] in known:
            return None
        known[match["key"]] = match["value"]
        if match["key"] not in ("th", "rv"):
            others.append(entry)
    th, rv = known.get("th"), known.get("rv")
    if (th is not None and not _THRESHOLD.fullmatch(th)) or (rv is not None and not _RANDOMNESS.fullmatch(rv)):
        return None
    return TraceState(None if th is None else read_threshold(th), None if rv is None else int(rv, 16), tuple(others), members)


def with_member(text: str, key: str, value: str) -> str | None:
    """A trace state in which a member has this value; it comes first, as W3C wants it. None if the member is not well formed."""
    if not _MEMBER.fullmatch(f"{key}={value}"):
        return None
    members = [member.strip(" \t") for member in text.split(",")]
    others = [member for member in members if member and member.partition("=")[0] != key]
    return ",".join([f"{key}={value}", *others][:_MOST_MEMBERS])
