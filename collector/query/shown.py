"""Attributes of single spans that a search has found, to be shown beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from collector.query.attributes import Attributes
from collector.query.conditions import TraceSearch
from collector.query.grouping import label_text
from collector.query.hits import SpanKey
from collector.query.predicates import Field
from collector.query.store import START, SpanStore, Statement, time_range
from collector.query.wording import Wording


class Shown(NamedTuple):
    """What a span and its resource have; kind and status are of KINDS and STATUS_CODES.

    `others` are texts of further fields, of several events or links those of the first that has them; empty texts for none.
    """

    attributes: Attributes
    resource: Attributes
    kind: str
    status: str
    status_message: str
    others: Mapping[Field, str]


def shown_statement(store: SpanStore, search: TraceSearch, spans: Sequence[SpanKey], others: Sequence[Field]) -> Statement:
    """A row for each of the spans, and for others with the same ids."""
    condition, parameters = time_range(search.start, search.end)
    wording = Wording(store.spans_table, parameters)
    texts = ", ".join(f"toString({label_text(wording, field)})" for field in others)
    return Statement(
        f"SELECT TraceId, SpanId, ServiceName, {START} AS Start,"  # noqa: S608 - the name is checked, values are bound
        " mapKeys(SpanAttributes) AS SpanKeys, mapValues(SpanAttributes) AS SpanValues,"
        " SpanAttributesTypes, mapKeys(ResourceAttributes) AS ResourceKeys, mapValues(ResourceAttributes) AS ResourceValues,"
        f" ResourceAttributesTypes, SpanKind, StatusCode, StatusMessage, [{texts}]::Array(String) AS Others"
        f" FROM {store.spans_table}"
        f" WHERE Workspace = {{workspace:String}} AND {condition}"
        " AND TraceId IN {trace_ids:Array(String)} AND SpanId IN {span_ids:Array(String)}"
        " LIMIT 1 BY TraceId, SpanId, ServiceName, Start",
        {
            **parameters,
            "workspace": search.workspace,
            "trace_ids": sorted({trace_id for trace_id, *_ in spans}),
            "span_ids": sorted({span_id for _, span_id, *_ in spans}),
        },
    )


async def find_shown(
    store: SpanStore, search: TraceSearch, spans: Sequence[SpanKey], others: Sequence[Field]
) -> dict[SpanKey, Shown]:
    """What those spans have.

    Args:
        others: labels as `is_label` has them.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    if not spans:
        return {}
    found = await store.fetch(shown_statement(store, search, spans, others))
    return {
        (row["TraceId"], row["SpanId"], row["ServiceName"], row["Start"]): Shown(
            Attributes(tuple(row["SpanKeys"]), tuple(row["SpanValues"]), row["SpanAttributesTypes"]),
            Attributes(tuple(row["ResourceKeys"]), tuple(row["ResourceValues"]), row["ResourceAttributesTypes"]),
            row["SpanKind"],
            row["StatusCode"],
            row["StatusMessage"],
            dict(zip(others, row["Others"], strict=True)),
        )
        for row in found.rows()
    }
