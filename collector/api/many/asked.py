"""What all analyses of many spans are asked with, and what all their answers say.

A part of an answer has a `search`: the parameters with which `POST /api/v1/traces` finds the traces of just that part. So that
these need not be repeated, they stand on top of those in the `search` of the whole answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from multidict import MultiMapping

from collector.api import params, rendering
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.search import QUERY, SPAN_FILTERS, TRACE_FILTERS, filter_of
from collector.query.conditions import TraceSearch
from collector.query.grouping import Key, read_key, search_words
from collector.query.many.occurrences import Occurrences

MOST_KEYS: Final = 5
MUST_BE_OF_SPANS: Final = (
    "is about spans here: say what some span of the trace is like, in braces, as in {IsRootSpan() and duration > 2s}"
)
_KEY_TEXT: Final = (
    "What spans of one group agree in, as the language of the search box names it: `service`, `operation`, `kind`, `status`,"
    " `status.message`, or the key of an attribute of the span or its resource, such as `http.route`. May be repeated."
)
BY: Final[Parameter[Key]] = Parameter(
    "by", _KEY_TEXT, {"type": "string"}, read_key, Key("service", "service"), repeatable=True, example="http.route"
)


def asked_spans(query: MultiMapping[str], workspace: str, now: int) -> TraceSearch:
    """The spans that the SPAN_FILTERS of an analysis ask for.

    Raises:
        BadParameter: one cannot be understood, or asks for what is no matter of a span.
    """
    search = filter_of(query, workspace, now)
    if search.traces:
        raise BadParameter(QUERY.name, query[QUERY.name], MUST_BE_OF_SPANS)
    return search


def asked_keys(query: MultiMapping[str], default: Sequence[Key] = (BY.default,)) -> list[Key]:
    """The keys of groups, each once.

    Raises:
        BadParameter: one means nothing, or there are too many.
    """
    keys = list(dict.fromkeys(BY.read_all(query))) or list(default)
    if len(keys) > MOST_KEYS:
        raise BadParameter(BY.name, query.getall(BY.name)[MOST_KEYS], f"may be given {MOST_KEYS} times at most")
    return keys


def whole_search(query: MultiMapping[str], search: TraceSearch) -> dict[str, Any]:
    """The `search` of a whole answer."""
    given = {
        parameter.name: query.getall(parameter.name) if parameter.repeatable else query[parameter.name]
        for parameter in (*SPAN_FILTERS, *TRACE_FILTERS)
        if parameter.name in query
    }
    return {**given, **time_search(search.start, search.end)}


def time_search(start: int, end: int) -> dict[str, Any]:
    """The `search` of a part that has a time range, nanoseconds, of its own."""
    return {params.START.name: _time(start), params.END.name: _time(end)}


def group_search(query: MultiMapping[str], keys: Sequence[Key], texts: Sequence[str]) -> dict[str, Any] | None:
    """The `search` of a part that is a group of spans; None where words cannot say it."""
    return words_search(query, search_words(keys, texts)) if keys else {}


def words_search(query: MultiMapping[str], words: str | None) -> dict[str, Any] | None:
    """The `search` of a part whose spans fit these words besides."""
    return None if words is None else {QUERY.name: [*query.getall(QUERY.name, []), words]}


def occurrences(found: Occurrences) -> dict[str, Any]:
    """How many spans there are of something, and when."""
    return {
        "spans": found.spans,
        "count": rendering.number(found.count),
        "firstUnixNano": str(found.first),
        "lastUnixNano": str(found.last),
    }


def _time(nanoseconds: int) -> str:
    """A time that `parsing.parse_time` takes for seconds, whenever it is."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    return f"{seconds}.{fraction:09d}"
