CREATE MATERIALIZED VIEW IF NOT EXISTS {spans_table}_trace_id_ts_mv{on_cluster}
TO {spans_table}_trace_id_ts
AS SELECT
    TraceId,
    toDateTime(min(Timestamp)) AS Start,
    toDateTime(max(Timestamp)) AS End,
    Workspace
FROM {spans_table}
WHERE TraceId != ''
GROUP BY TraceId, Workspace
