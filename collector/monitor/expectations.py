"""What an answer must be like to count as a success."""

from __future__ import annotations

from typing import Annotated, Any, Final

import jsonpath_rfc9535
import orjson
from pydantic import AfterValidator, Field

from collector.control.objects import ObjectModel
from config.values import Duration

SLOWER: Final = "slower than expected"


def _status(text: str) -> str:
    if not (len(text) == 3 and text[0] in "12345" and (text[1:] == "xx" or (text[1:].isdecimal() and text.isascii()))):
        raise ValueError("must be a status such as 200, or a class of them such as 2xx")
    return text


def _json_path(text: str) -> str:
    try:
        jsonpath_rfc9535.compile(text)
    except (jsonpath_rfc9535.JSONPathError, RecursionError) as error:
        raise ValueError(f"must be a JSONPath by RFC 9535, such as $.items[0].id: {str(error).splitlines()[0]}") from None
    try:
        # What can be compared is what is wanted here: a singular query, as the RFC calls it.
        jsonpath_rfc9535.compile(f"$[?{text} == 0]")
    except (jsonpath_rfc9535.JSONPathError, RecursionError):
        # Others may look at every value of a body for every other one, or match patterns that take for ever.
        raise ValueError("must find one value by names and positions alone, such as $.items[0].id") from None
    return text


_Text = Annotated[str, Field(min_length=1, max_length=1000)]


class JsonValue(ObjectModel):
    """A value that a JSON body must have."""

    path: Annotated[str, Field(max_length=500), AfterValidator(_json_path)]
    """A JSONPath by RFC 9535 of names and positions, such as `$.items[0].id`."""
    equals: Any
    """What is found there: any JSON value."""


class Expectations(ObjectModel):
    """What an answer must be like to count as a success; all of it must hold."""

    status: Annotated[tuple[Annotated[str, AfterValidator(_status)], ...], Field(min_length=1, max_length=50)] = ("2xx", "3xx")
    """Statuses (`200`) and classes of them (`2xx`), one of which it must have."""
    body_contains: Annotated[tuple[_Text, ...], Field(max_length=20)] = ()
    """Texts that the body must contain, as they are."""
    json_values: Annotated[tuple[JsonValue, ...], Field(max_length=20)] = ()
    """Values that the body, as JSON, must have."""
    max_duration: Duration | None = None
    """How long it may take, from the first byte sent to the last one received."""

    @property
    def about_body(self) -> bool:
        """Whether the body has to be read to know."""
        return bool(self.body_contains or self.json_values)


class Judge:
    """Judges answers by expectations, which it prepares once.

    Args:
        expectations: what is expected.
        no_errors: whether the body must be a JSON object without `errors`, as a GraphQL answer is that succeeded.
    """

    def __init__(self, expectations: Expectations, *, no_errors: bool = False) -> None:
        self.needs_body = expectations.about_body or no_errors
        """Whether `judge` looks at bodies."""
        self._statuses = frozenset(
            status for status in range(100, 600) for text in expectations.status if text in (str(status), f"{status // 100}xx")
        )
        self._texts = [text.encode() for text in expectations.body_contains]
        self._paths = [(value.path, jsonpath_rfc9535.compile(value.path), value.equals) for value in expectations.json_values]
        self._no_errors = no_errors
        self._max_duration = expectations.max_duration if expectations.max_duration is not None else 2**63

    def judge(self, status: int, duration: int, body: bytes | bytearray) -> str:
        """Why an answer is no success, in few words that are the same for the same cause; empty when it is one.

        Args:
            status: of HTTP, or of gRPC.
            duration: in nanoseconds.
            body: whole; need not be given unless `needs_body`.
        """
        if fault := self._fault_of_status(status):
            return fault
        if duration > self._max_duration:
            return SLOWER
        return self._fault_of_body(body) if self.needs_body else ""

    def _fault_of_status(self, status: int) -> str:
        return "" if status in self._statuses else f"status {status}"

    def _fault_of_body(self, body: bytes | bytearray) -> str:
        for text in self._texts:
            if text not in body:
                return f"body lacks {_quoted(text.decode())}"
        if not (self._paths or self._no_errors):
            return ""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return "body is no JSON"
        if self._no_errors and not (isinstance(document, dict) and not document.get("errors")):
            return "GraphQL errors"
        for path, query, wanted in self._paths:
            found = query.find_one(document)
            if found is None or not _same(found.value, wanted):
                return f"{_quoted(path)} differs"
        return ""


def _same(found: Any, wanted: Any) -> bool:
    """Equal as JSON, in which 1 and 1.0 are the same, and 1 and true are not."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(value, wanted[key]) for key, value in found.items())
    return bool(found == wanted)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")
