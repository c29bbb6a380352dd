CREATE TABLE IF NOT EXISTS {derived}_alert_claims{on_cluster}
(
    -- Which collector evaluates rules and sends events, and which entries of the table of alert events have been sent. Claim n + 1
    -- of a subject is written by one insert, and of several that try it at once the first counts.
    `Subject` String CODEC(ZSTD(1)),
    `Number` UInt64 CODEC(Delta(8), ZSTD(1)),
    `At` DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    -- Whether it was let go, or is finished.
    `Done` Bool CODEC(ZSTD(1)),
    -- Up to when the holder had evaluated all rules, nanoseconds since 1970; 0 where nobody knows.
    `Progress` Int64 CODEC(Delta(8), ZSTD(1)),
    `Holder` UUID CODEC(ZSTD(1)),
    `WriteId` UUID CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY (Subject, Number)
TTL toDateTime(At) + toIntervalDay(30)
SETTINGS index_granularity = 8192{deduplication}
