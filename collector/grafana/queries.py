"""SQL of dashboards: what its abbreviations stand for."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Final

from collector.sketch import MERGE, quantile_expression

_WORKSPACE: Final = "$__timeFilter(Minute) AND Workspace = ${workspace:sqlstring} AND SpanKind IN (${kind:sqlstring})"
_SERVICE: Final = (
    f"{_WORKSPACE} AND ServiceName IN (${{service:sqlstring}})"
    " AND $__conditionalAll(SpanName IN (${operation:sqlstring}), $operation)"
)
_EDGE: Final = "Minute, Client, Server, ConnectionType, Node, Calls, FailedCalls"
_CALLS: Final = " UNION ALL ".join(
    f"SELECT {_EDGE}, if(Node IN ('messaging', 'external'), ClientDurationSketch, ServerDurationSketch) AS DurationSketch"  # noqa: S608 - constants
    f" FROM {table} WHERE $__timeFilter(Minute) AND Workspace = ${{workspace:sqlstring}}"
    " AND $__conditionalAll((Client IN (${service:sqlstring}) OR Server IN (${service:sqlstring})), $service)"
    for table in ("otel_topology_minute", "otel_topology_settled")
)
_ABBREVIATION: Final = re.compile(r"<(\w+)>")
_MEANINGS: Final = {
    # Conditions for the rows of otel_red_minute that the dashboards' variables choose, and for those of otel_traces.
    "of_workspace": _WORKSPACE,
    "of_service": _SERVICE,
    "spans_of_service": _SERVICE.replace("Minute", "Timestamp"),
    # Of rows of otel_red_minute.
    "failed": "sumIf(Spans, StatusCode = 'Error') / sum(Spans)",
    # Seconds of the time range.
    "seconds": "greatest($__toTime - $__fromTime, 1)",
    # Calls between services, both those whose sides came together and those that were settled later. How long they took is told
    # by the side that was called; of one that has no spans, by the other.
    "calls": f"({_CALLS})",
    "sketch": f"{MERGE}(DurationSketch) AS Sketch",
}


def sql(text: str) -> str:
    """A statement with its abbreviations written out: those of _MEANINGS, and <p95> for a percentile of `Sketch`.

    Raises:
        KeyError: for another word in angle brackets.
    """
    return _ABBREVIATION.sub(lambda found: _meaning(found[1]), dedent(text).strip())


def _meaning(word: str) -> str:
    if word[1:].isdecimal() and word[0] == "p":
        return quantile_expression("Sketch", str(int(word[1:]) / 100))
    return _MEANINGS[word]
