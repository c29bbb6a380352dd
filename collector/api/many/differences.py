"""/api/v1/analysis/differences."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from collector.api import params, rendering, schemas
from collector.api.by_body import asked_either_way
from collector.api.many.asked import MUST_BE_OF_SPANS, asked_spans, whole_search, words_search
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, NOW, STORE
from collector.api.search import QUERY, SPAN_FILTERS
from collector.query.conditions import TraceSearch
from collector.query.language import Query
from collector.query.many.differences import MOST_VALUES, SIGNIFICANT, Comparison, Difference, Side, Spans, find_differences

SELECTION: Final[Parameter[Query]] = replace(
    QUERY,
    name="selection",
    description="Which of the spans that fit are compared with others, in the language of the search box; all without it.",
    repeatable=False,
    example="version = 2",
)
BASELINE: Final[Parameter[Query]] = replace(
    SELECTION,
    name="baseline",
    description="With which they are compared. Without it, and without a time range of its own: with all that are not selected.",
    example="version = 1",
)
BASELINE_START: Final = replace(
    params.START,
    name="baselineStart",
    description="Start of the time range of the spans with which is compared, included. Default: that of the selected ones.",
    example="2026-02-22T12:00:00Z",
)
BASELINE_END: Final = replace(
    params.END,
    name="baselineEnd",
    description="End of that time range, not included.",
    example="2026-02-22T13:00:00Z",
)
SAMPLE: Final = params.whole_number(
    "sample", "About so many spans of each are looked at, drawn by their ids.", 20_000, 100, 100_000
)
VALUES: Final = params.whole_number("values", "At most so many values of each attribute.", 5, 1, 100)
LIMIT: Final = params.limit(20, 200, "fields and attributes")


async def analyse_differences(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """The fields and attributes whose values differ most between some spans and others."""
    search = asked_spans(query, request[CALLER].workspace, request.app[NOW]())
    comparison = _comparison(query, search)
    found = await find_differences(request.app[STORE], comparison)
    keys: dict[tuple[str, str], list[Difference]] = {}
    for each in found.found:
        keys.setdefault((each.level, each.key), []).append(each)
    limit, values = LIMIT.read(query), VALUES.read(query)
    selected = query.getall(SELECTION.name, [])

    def value(each: Difference) -> dict[str, Any]:
        words = words_search(query, each.words)
        if words is not None and selected:
            words[QUERY.name] += selected
        return {
            "value": each.value,
            "selection": {"spans": each.spans[0], "share": rendering.number(each.shares[0])},
            "baseline": {"spans": each.spans[1], "share": rendering.number(each.shares[1])},
            "difference": rendering.number(each.shares[0] - each.shares[1]),
            "gSquared": rendering.number(each.g_squared),
            "probability": rendering.number(each.probability),
            "search": words,
        }

    because = f"More than {MOST_VALUES} values were found; those that the most spans have were compared."
    return rendering.json_response(
        {
            "selection": {**_range(comparison.selection), **_side(found.selection)},
            "baseline": {**_range(comparison.baseline or comparison.selection), **_side(found.baseline)},
            "weighted": comparison.weighted,
            "statistic": "g-squared",
            "significance": SIGNIFICANT,
            "comparedValues": found.values,
            "differences": [
                {
                    "level": level,
                    "key": key,
                    "values": [value(each) for each in islice(differences, values)],
                    "total": len(differences),
                }
                for (level, key), differences in islice(keys.items(), limit)
            ],
            "total": len(keys),
            "complete": found.complete,
            "incompleteBecause": None if found.complete else because,
            "search": {
                **whole_search(query, search),
                **({QUERY.name: [*query.getall(QUERY.name, []), *selected]} if selected else {}),
            },
        }
    )


def _comparison(query: MultiMapping[str], search: TraceSearch) -> Comparison:
    """What is asked for.

    Raises:
        BadParameter: nothing tells the selection from the baseline, or a parameter makes no sense.
    """
    for parameter in (SELECTION, BASELINE):
        if parameter.read(query).traces:
            raise BadParameter(parameter.name, query[parameter.name], MUST_BE_OF_SPANS)
    selection = Spans(search.start, search.end, SELECTION.read(query).where)
    start, end = BASELINE_START.read(query), BASELINE_END.read(query)
    if (start is None) != (end is None):
        missing, given = (BASELINE_START, BASELINE_END) if start is None else (BASELINE_END, BASELINE_START)
        raise BadParameter(missing.name, "", f"must be given with {given.name}")
    if start is not None and end is not None and start >= end:
        raise BadParameter(
            BASELINE_START.name, query[BASELINE_START.name], f"{BASELINE_START.name} must lie before {BASELINE_END.name}"
        )
    baseline = None
    if start is not None and end is not None:
        baseline = Spans(start, end, (BASELINE if BASELINE.name in query else SELECTION).read(query).where)
        search = replace(search, start=min(start, search.start), end=max(end, search.end))
    elif BASELINE.name in query:
        baseline = Spans(search.start, search.end, BASELINE.read(query).where)
    elif SELECTION.name not in query:
        remedy = (
            f"must be given, or {BASELINE.name}, or {BASELINE_START.name} and {BASELINE_END.name}: what is compared with what?"
        )
        raise BadParameter(SELECTION.name, "", remedy)
    return Comparison(search, selection, baseline, SAMPLE.read(query), params.WEIGHTED.read(query))


def _range(spans: Spans) -> dict[str, Any]:
    return {"startUnixNano": str(spans.start), "endUnixNano": str(spans.end)}


def _side(side: Side) -> dict[str, Any]:
    return {"spans": side.spans, "sampled": side.sampled, "count": rendering.number(side.weight)}


ROUTES: Final = asked_either_way(
    "/api/v1/analysis/differences",
    analyse_differences,
    "Fields and attributes that differ most between two time ranges, or two kinds of spans",
    schemas.reference("SpanDifferences"),
    (*SPAN_FILTERS, SELECTION, BASELINE, BASELINE_START, BASELINE_END, SAMPLE, VALUES, params.WEIGHTED, LIMIT),
)
