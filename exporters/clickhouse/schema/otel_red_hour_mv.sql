CREATE MATERIALIZED VIEW IF NOT EXISTS {derived}_red_hour_mv{on_cluster}
TO {derived}_red_hour
AS SELECT
    Workspace,
    ServiceName,
    toStartOfHour(Minute, 'UTC') AS Hour,
    SpanName,
    SpanKind,
    StatusCode,
    Dimensions,
    sum(minutes.Spans) AS Spans,
    sum(minutes.DurationSum) AS DurationSum,
    min(minutes.DurationMin) AS DurationMin,
    max(minutes.DurationMax) AS DurationMax,
    sumMap(minutes.DurationSketch) AS DurationSketch
FROM {derived}_red_minute AS minutes
GROUP BY Workspace, ServiceName, Hour, SpanName, SpanKind, StatusCode, Dimensions
