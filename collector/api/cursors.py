"""Cursors: texts without meaning for clients, which say behind what the next page of a list begins."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import orjson

from collector.api.params import Parameter
from collector.query.store import MAX_TIMESTAMP

T = TypeVar("T")
Part = str | int | uuid.UUID


def cursor(place: Callable[..., T]) -> Parameter[T | None]:
    """The parameter that takes what `next_cursor` made.

    Args:
        place: makes a place of its parts, as they are in JSON; raises ValueError, TypeError or AttributeError for other ones.
    """

    def parse(text: str) -> T:
        try:
            return place(*orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError("not a cursor that this server gave out") from error

    return Parameter("cursor", "`nextCursor` of the page before.", {"type": "string"}, parse, None)


def next_cursor(found: Sequence[T], limit: int, place: Callable[[T], tuple[Part, ...]]) -> str | None:
    """The cursor of the page after this one; None where this is the last.

    Args:
        found: of one more than `limit` was asked for.
        limit: how many are shown.
        place: the parts of the place of one.
    """
    if len(found) <= limit:
        return None
    return base64.urlsafe_b64encode(orjson.dumps(place(found[limit - 1]))).decode().rstrip("=")


def whole(part: Any) -> int:
    """A part that is a number, of nanoseconds or of an entry. Raises ValueError for what no statement could take."""
    if type(part) is not int or not 0 <= part <= MAX_TIMESTAMP:
        raise ValueError
    return part


def at_and_id(at: Any, identifier: Any) -> tuple[int, uuid.UUID]:
    """The place of what has a time, in nanoseconds since 1970, and an id."""
    return whole(at), uuid.UUID(identifier)


BY_TIME: Final = cursor(at_and_id)
"""Of lists in the order of time."""
