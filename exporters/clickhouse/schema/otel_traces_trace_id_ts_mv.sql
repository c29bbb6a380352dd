CREATE MATERIALIZED VIEW IF NOT EXISTS {spans_table}_trace_id_ts_mv{on_cluster}
TO {spans_table}_trace_id_ts
-- A DateTime ends in 2106, where a later time would wrap round to the past: it is cut to the last second instead.
AS SELECT
    TraceId,
    toDateTime(least(min(Timestamp), toDateTime64('2106-02-07 06:28:15', 9, 'UTC'))) AS Start,
    toDateTime(least(max(Timestamp), toDateTime64('2106-02-07 06:28:15', 9, 'UTC'))) AS End,
    Workspace
FROM {spans_table}
WHERE TraceId != ''
GROUP BY TraceId, Workspace
