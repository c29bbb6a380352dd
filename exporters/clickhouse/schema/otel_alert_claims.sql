CREATE TABLE IF NOT EXISTS {derived}_alert_claims{on_cluster}
(
    -- Which collector does what: evaluates rules, or sends the events of an entry of the table of alert events. Claim n + 1 of a
    -- subject is written by one insert, and of several that try it at once the first counts.
    `Subject` String CODEC(ZSTD(1)),
    `Number` UInt64 CODEC(Delta(8), ZSTD(1)),
    `At` DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    -- Until when nobody else takes it; for ever where it is done.
    `Until` DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `Done` Bool CODEC(ZSTD(1)),
    `Holder` UUID CODEC(ZSTD(1)),
    `WriteId` UUID CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY (Subject, Number)
TTL toDateTime(At) + toIntervalDay(30)
SETTINGS index_granularity = 8192{deduplication}
