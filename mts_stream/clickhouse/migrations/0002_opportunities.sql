-- What was found: every message of the signals topic as it was, each event of each opportunity, each opportunity as it
-- stands. Money is rounded half-even to 18 places; the exact text is in signals.message.

CREATE TABLE IF NOT EXISTS signals
(
    type LowCardinality(String),
    pair LowCardinality(String),
    direction LowCardinality(String),
    event_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    id String CODEC(ZSTD(1)),
    schema_version UInt16 CODEC(ZSTD(1)),
    emitted_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    expires_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    config_id LowCardinality(String),
    message String CODEC(ZSTD(3)),
    source_partition UInt16 CODEC(ZSTD(1)),
    source_offset UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(source_offset)
PARTITION BY toYYYYMM(event_time)
ORDER BY (type, pair, event_time, id)
TTL toDateTime(stored_at) + INTERVAL 365 DAY
SETTINGS non_replicated_deduplication_window = 5000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS opportunity_events
(
    pair LowCardinality(String),
    direction LowCardinality(String),
    event_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    opportunity_id UUID CODEC(ZSTD(1)),
    event UInt32 CODEC(ZSTD(1)),
    type LowCardinality(String),
    buy_venue LowCardinality(String),
    buy_market LowCardinality(String),
    buy_symbol LowCardinality(String),
    buy_price Decimal(38, 18) CODEC(ZSTD(1)),
    buy_average_price Decimal(38, 18) CODEC(ZSTD(1)),
    buy_fee_bps Decimal(18, 12) CODEC(ZSTD(1)),
    buy_funding_rate Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    buy_next_funding_time Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    buy_book_age_ms UInt64 CODEC(ZSTD(1)),
    buy_sequence Int64 CODEC(ZSTD(1)),
    buy_message_id String CODEC(ZSTD(1)),
    buy_generation UInt64 CODEC(ZSTD(1)),
    sell_venue LowCardinality(String),
    sell_market LowCardinality(String),
    sell_symbol LowCardinality(String),
    sell_price Decimal(38, 18) CODEC(ZSTD(1)),
    sell_average_price Decimal(38, 18) CODEC(ZSTD(1)),
    sell_fee_bps Decimal(18, 12) CODEC(ZSTD(1)),
    sell_funding_rate Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    sell_next_funding_time Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    sell_book_age_ms UInt64 CODEC(ZSTD(1)),
    sell_sequence Int64 CODEC(ZSTD(1)),
    sell_message_id String CODEC(ZSTD(1)),
    sell_generation UInt64 CODEC(ZSTD(1)),
    size Decimal(38, 18) CODEC(ZSTD(1)),
    buy_notional Decimal(38, 18) CODEC(ZSTD(1)),
    sell_notional Decimal(38, 18) CODEC(ZSTD(1)),
    gross_usd Decimal(38, 18) CODEC(ZSTD(1)),
    fees_usd Decimal(38, 18) CODEC(ZSTD(1)),
    slippage_usd Decimal(38, 18) CODEC(ZSTD(1)),
    carry_usd Decimal(38, 18) CODEC(ZSTD(1)),
    net_entry_usd Decimal(38, 18) CODEC(ZSTD(1)),
    net_round_trip_usd Decimal(38, 18) CODEC(ZSTD(1)),
    net_usd Decimal(38, 18) CODEC(ZSTD(1)),
    net_bps Decimal(18, 4) CODEC(ZSTD(1)),
    edge_bps Decimal(18, 4) CODEC(ZSTD(1)),
    reason LowCardinality(Nullable(String)),
    duration_ns Nullable(UInt64) CODEC(ZSTD(1)),
    updates Nullable(UInt64) CODEC(ZSTD(1)),
    peak_net_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    size_at_peak Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    survived_ms Array(UInt32) CODEC(ZSTD(1)),
    config_id LowCardinality(String),
    source_partition UInt16 CODEC(ZSTD(1)),
    source_offset UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(source_offset)
PARTITION BY toYYYYMM(event_time)
ORDER BY (pair, direction, event_time, opportunity_id, event)
TTL toDateTime(stored_at) + INTERVAL 1095 DAY
SETTINGS non_replicated_deduplication_window = 5000, ttl_only_drop_parts = 1;

-- The latest state of each opportunity: the version is the number of its event. An opportunity keeps its place in the
-- table whatever its state, so no column of time may stand in the key or the partition. opened_time is null while the
-- last event is an update.
CREATE TABLE IF NOT EXISTS opportunities
(
    pair LowCardinality(String),
    direction LowCardinality(String),
    opportunity_id UUID CODEC(ZSTD(1)),
    event UInt32 CODEC(ZSTD(1)),
    state Enum8('open' = 1, 'closed' = 2),
    opened_time Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    event_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    buy_venue LowCardinality(String),
    buy_market LowCardinality(String),
    buy_symbol LowCardinality(String),
    buy_price Decimal(38, 18) CODEC(ZSTD(1)),
    buy_average_price Decimal(38, 18) CODEC(ZSTD(1)),
    buy_fee_bps Decimal(18, 12) CODEC(ZSTD(1)),
    buy_funding_rate Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    sell_venue LowCardinality(String),
    sell_market LowCardinality(String),
    sell_symbol LowCardinality(String),
    sell_price Decimal(38, 18) CODEC(ZSTD(1)),
    sell_average_price Decimal(38, 18) CODEC(ZSTD(1)),
    sell_fee_bps Decimal(18, 12) CODEC(ZSTD(1)),
    sell_funding_rate Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    size Decimal(38, 18) CODEC(ZSTD(1)),
    buy_notional Decimal(38, 18) CODEC(ZSTD(1)),
    sell_notional Decimal(38, 18) CODEC(ZSTD(1)),
    gross_usd Decimal(38, 18) CODEC(ZSTD(1)),
    fees_usd Decimal(38, 18) CODEC(ZSTD(1)),
    slippage_usd Decimal(38, 18) CODEC(ZSTD(1)),
    carry_usd Decimal(38, 18) CODEC(ZSTD(1)),
    net_entry_usd Decimal(38, 18) CODEC(ZSTD(1)),
    net_round_trip_usd Decimal(38, 18) CODEC(ZSTD(1)),
    net_usd Decimal(38, 18) CODEC(ZSTD(1)),
    net_bps Decimal(18, 4) CODEC(ZSTD(1)),
    edge_bps Decimal(18, 4) CODEC(ZSTD(1)),
    reason LowCardinality(Nullable(String)),
    duration_ns Nullable(UInt64) CODEC(ZSTD(1)),
    updates Nullable(UInt64) CODEC(ZSTD(1)),
    peak_net_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    size_at_peak Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    survived_ms Array(UInt32) CODEC(ZSTD(1)),
    config_id LowCardinality(String),
    source_partition UInt16 CODEC(ZSTD(1)),
    source_offset UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(event)
ORDER BY (pair, direction, opportunity_id)
TTL toDateTime(stored_at) + INTERVAL 1095 DAY
SETTINGS non_replicated_deduplication_window = 5000;
