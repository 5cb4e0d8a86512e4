-- What is measured, signal or not: edges, refusals, funding, feed quality.
-- Natural keys order every table; a row written twice is one row under FINAL (the highest source_offset stays).
-- stored_at is the clock of the store: it shows latency and decides when a row may go, never which row stays.

CREATE TABLE IF NOT EXISTS spreads_1s
(
    pair LowCardinality(String),
    direction LowCardinality(String),
    window_start DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    edge_open_bps Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    edge_high_bps Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    edge_low_bps Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    edge_close_bps Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    edge_mean_bps Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    net_bps_1k Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    net_bps_10k Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    net_bps_50k Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    valid_ms UInt32 CODEC(ZSTD(1)),
    evaluations UInt32 CODEC(ZSTD(1)),
    outcomes Map(LowCardinality(String), UInt32) CODEC(ZSTD(1)),
    source_partition UInt16 CODEC(ZSTD(1)),
    source_offset UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(source_offset)
PARTITION BY toYYYYMMDD(window_start)
ORDER BY (pair, direction, window_start)
TTL toDateTime(stored_at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 5000, ttl_only_drop_parts = 1;

-- The rejection ledger: one row per outcome of a window, `signal` included, so that it adds up to the evaluations.
-- A view, not a copy: it can never disagree with its windows, and costs no second insert.
CREATE VIEW IF NOT EXISTS rejections_1s AS
SELECT pair, direction, window_start, outcome, evaluations
FROM (SELECT pair, direction, window_start, outcomes FROM spreads_1s FINAL)
ARRAY JOIN mapKeys(outcomes) AS outcome, mapValues(outcomes) AS evaluations;

-- One row per change of rate, next settlement or interval.
CREATE TABLE IF NOT EXISTS funding_rates
(
    pair LowCardinality(String),
    venue LowCardinality(String),
    market LowCardinality(String),
    symbol LowCardinality(String),
    event_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    message_id String CODEC(ZSTD(1)),
    rate Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    next_funding_time Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    interval_hours Nullable(UInt16) CODEC(ZSTD(1)),
    source_partition UInt16 CODEC(ZSTD(1)),
    source_offset UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(source_offset)
PARTITION BY toYYYYMM(event_time)
ORDER BY (pair, venue, market, event_time, message_id)
TTL toDateTime(stored_at) + INTERVAL 1095 DAY
SETTINGS non_replicated_deduplication_window = 5000, ttl_only_drop_parts = 1;

-- Books per minute (type book) and connections per second (type connection); what a type does not have is null.
CREATE TABLE IF NOT EXISTS feed_quality
(
    type LowCardinality(String),
    subject LowCardinality(String),
    pair LowCardinality(String),
    venue LowCardinality(String),
    market LowCardinality(String),
    symbol LowCardinality(String),
    window_start DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    window_ms UInt32 CODEC(ZSTD(1)),
    state LowCardinality(Nullable(String)),
    records Nullable(UInt64) CODEC(ZSTD(1)),
    applied Nullable(UInt64) CODEC(ZSTD(1)),
    valid_ms Nullable(UInt64) CODEC(ZSTD(1)),
    states Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    invalidations Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    frames Nullable(UInt64) CODEC(ZSTD(1)),
    bytes Nullable(UInt64) CODEC(ZSTD(1)),
    reconnects Nullable(UInt64) CODEC(ZSTD(1)),
    resyncs Nullable(UInt64) CODEC(ZSTD(1)),
    generation Nullable(UInt64) CODEC(ZSTD(1)),
    queued_records Nullable(UInt64) CODEC(ZSTD(1)),
    latency_p50_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    latency_p99_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1)),
    source_partition UInt16 CODEC(ZSTD(1)),
    source_offset UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(source_offset)
PARTITION BY toYYYYMMDD(window_start)
ORDER BY (type, subject, window_start)
TTL toDateTime(stored_at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 5000, ttl_only_drop_parts = 1;
