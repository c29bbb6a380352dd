"""Paths of routes with something in their places."""

from __future__ import annotations

import re

_PLACE = re.compile(r"\{(\w+)(?::[^{}]*)?\}")


def filled(path: str, **values: str) -> str:
    """A route's path with values for its places, whatever it says that they look like."""
    return _PLACE.sub(lambda place: values[place[1]], path)
