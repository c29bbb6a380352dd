CREATE MATERIALIZED VIEW IF NOT EXISTS {spans_table}_tags_mv{on_cluster}
TO {spans_table}_tags
-- Small inserts are looked at whole; of large ones, which come often, those of each tenth second, and some thousand spans of each:
-- to look at all would cost more than a tenth of storing the spans.
AS SELECT
    Workspace,
    Level,
    Key,
    Hour,
    groupUniqArrayIf(100)(Value, length(Value) <= 128) AS SomeValues
FROM
(
    SELECT
        Workspace,
        toStartOfHour(least(Timestamp, toDateTime64('2106-02-07 06:28:15', 9, 'UTC')), 'UTC') AS Hour,
        arrayJoin([
            ('span', mapKeys(SpanAttributes), mapValues(SpanAttributes)),
            ('resource', mapKeys(ResourceAttributes), mapValues(ResourceAttributes)),
            ('scope', mapKeys(ScopeAttributes), mapValues(ScopeAttributes)),
            ('event', arrayFlatten(arrayMap(m -> mapKeys(m), `Events.Attributes`)), arrayFlatten(arrayMap(m -> mapValues(m), `Events.Attributes`))),
            ('link', arrayFlatten(arrayMap(m -> mapKeys(m), `Links.Attributes`)), arrayFlatten(arrayMap(m -> mapValues(m), `Links.Attributes`)))
        ]) AS attributes,
        tupleElement(attributes, 1) AS Level,
        tupleElement(attributes, 2) AS keys,
        tupleElement(attributes, 3) AS values
    FROM {spans_table}
    WHERE (blockSize() < 2000 OR toSecond(now()) % 10 = 0) AND cityHash64(TraceId, SpanId) % greatest(intDiv(blockSize(), 1000), 1) = 0
)
ARRAY JOIN keys AS Key, values AS Value
WHERE Key != ''
GROUP BY Workspace, Level, Key, Hour
