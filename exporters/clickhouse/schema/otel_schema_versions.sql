CREATE TABLE IF NOT EXISTS {derived}_schema_versions{on_cluster}
(
    -- Which versions the tables have had, and what was done each time to bring them there.
    `Version` UInt32,
    `AppliedAt` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    `Changes` Array(String)
)
ENGINE = {engine}
ORDER BY (Version, AppliedAt)
SETTINGS index_granularity = 8192{deduplication}
