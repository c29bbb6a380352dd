CREATE TABLE IF NOT EXISTS {spans_table}{on_cluster}
(
    -- The shape that Grafana and every other reader of otel_traces knows, column for column.
    `Timestamp` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `ParentSpanId` String CODEC(ZSTD(1)),
    `TraceState` String CODEC(ZSTD(1)),
    `SpanName` LowCardinality(String) CODEC(ZSTD(1)),
    `SpanKind` LowCardinality(String) CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `SpanAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `Duration` UInt64 CODEC(ZSTD(1)),
    `StatusCode` LowCardinality(String) CODEC(ZSTD(1)),
    `StatusMessage` String CODEC(ZSTD(1)),
    `Events.Timestamp` Array(DateTime64(9)) CODEC(ZSTD(1)),
    `Events.Name` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Events.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Links.TraceId` Array(String) CODEC(ZSTD(1)),
    `Links.SpanId` Array(String) CODEC(ZSTD(1)),
    `Links.TraceState` Array(String) CODEC(ZSTD(1)),
    `Links.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),

    -- What that shape loses. Every column has a default, so that other writers need not know it.
    `Workspace` LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    -- Times and numbers that do not fit the columns above; zero wherever they do.
    `StartTimeUnixNano` UInt64 DEFAULT 0 CODEC(ZSTD(1)),
    `EndTimeUnixNano` UInt64 DEFAULT 0 CODEC(ZSTD(1)),
    `EventTimesUnixNano` Array(UInt64) CODEC(ZSTD(1)),
    `SpanKindNumber` Int32 DEFAULT 0 CODEC(ZSTD(1)),
    `StatusCodeNumber` Int32 DEFAULT 0 CODEC(ZSTD(1)),
    `Flags` UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    -- One letter for each attribute value (see docs/storage.md); empty when all are strings.
    `ResourceAttributesTypes` LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)),
    `ResourceDroppedAttributesCount` UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    `ResourceSchemaUrl` LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)),
    -- In protobuf, as they came.
    `ResourceEntityRefs` LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeAttributesTypes` LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)),
    `ScopeDroppedAttributesCount` UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    `ScopeSchemaUrl` LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)),
    `SpanAttributesTypes` LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)),
    `DroppedAttributesCount` UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    `DroppedEventsCount` UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    `DroppedLinksCount` UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    `Events.AttributesTypes` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Events.DroppedAttributesCount` Array(UInt32) CODEC(ZSTD(1)),
    `Links.AttributesTypes` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Links.DroppedAttributesCount` Array(UInt32) CODEC(ZSTD(1)),
    `Links.Flags` Array(UInt32) CODEC(ZSTD(1)),
    -- How many spans this one stands for, since samplers have dropped the others: by the threshold T in the trace state (ot=th:T),
    -- 2^56 / (2^56 - T), and 1 without one.
    `AdjustedCount` Float64 DEFAULT 72057594037927936 / (72057594037927936 - reinterpretAsUInt64(reverse(unhex(rightPad(extract(concat(TraceState, ','), '(?:^|,)[ \t]*ot=(?:[a-z][a-z0-9]*:[A-Za-z0-9._-]*;)*th:([0-9a-f]{1,14})(?:;[a-z][a-z0-9]*:[A-Za-z0-9._-]*)*[ \t]*,'), 14, '0'))))) CODEC(ZSTD(1)),

    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toDate(Timestamp)
-- Five minutes after five minutes: the spans of a trace, and those of a time range, stand together, and of these those of a service.
-- Were Timestamp itself in the primary key, conditions on it would be looked up there alone, behind all else, and skip nothing.
PRIMARY KEY (Workspace, toStartOfFiveMinutes(Timestamp), ServiceName, SpanName)
ORDER BY (Workspace, toStartOfFiveMinutes(Timestamp), ServiceName, SpanName, Timestamp)
{ttl_by_timestamp}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1{deduplication}
