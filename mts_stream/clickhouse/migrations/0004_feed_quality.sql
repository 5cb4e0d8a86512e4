-- What the quality of books and connections tells since 2026-11; null, or an empty map, in rows of before.
-- Latencies are receive minus exchange time; the corrected ones allow for the clock offset, an estimate.
ALTER TABLE feed_quality
    ADD COLUMN IF NOT EXISTS valid_percent Nullable(Decimal(18, 4)) CODEC(ZSTD(1)) AFTER valid_ms,
    ADD COLUMN IF NOT EXISTS gaps Nullable(UInt64) CODEC(ZSTD(1)) AFTER invalidations,
    ADD COLUMN IF NOT EXISTS stale_records Nullable(UInt64) CODEC(ZSTD(1)) AFTER gaps,
    ADD COLUMN IF NOT EXISTS differing_keyframes Nullable(UInt64) CODEC(ZSTD(1)) AFTER stale_records,
    ADD COLUMN IF NOT EXISTS frames_by_channel Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)) AFTER frames,
    ADD COLUMN IF NOT EXISTS resyncs_by_reason Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)) AFTER resyncs,
    ADD COLUMN IF NOT EXISTS dead_letters Nullable(UInt64) CODEC(ZSTD(1)) AFTER generation,
    ADD COLUMN IF NOT EXISTS books Nullable(UInt64) CODEC(ZSTD(1)) AFTER dead_letters,
    ADD COLUMN IF NOT EXISTS books_synced Nullable(UInt64) CODEC(ZSTD(1)) AFTER books,
    ADD COLUMN IF NOT EXISTS queued_snapshots Nullable(UInt64) CODEC(ZSTD(1)) AFTER queued_records,
    ADD COLUMN IF NOT EXISTS rest_weight_spent Nullable(UInt64) CODEC(ZSTD(1)) AFTER queued_snapshots,
    ADD COLUMN IF NOT EXISTS rest_weight_reported Nullable(UInt64) CODEC(ZSTD(1)) AFTER rest_weight_spent,
    ADD COLUMN IF NOT EXISTS rest_weight_budget Nullable(UInt64) CODEC(ZSTD(1)) AFTER rest_weight_reported,
    ADD COLUMN IF NOT EXISTS latency_p90_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1)) AFTER latency_p50_ms,
    ADD COLUMN IF NOT EXISTS latency_max_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1)) AFTER latency_p99_ms,
    ADD COLUMN IF NOT EXISTS clock_offset_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1)) AFTER latency_max_ms,
    ADD COLUMN IF NOT EXISTS clock_offset_error_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1)) AFTER clock_offset_ms,
    ADD COLUMN IF NOT EXISTS latency_corrected_p50_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1))
        AFTER clock_offset_error_ms,
    ADD COLUMN IF NOT EXISTS latency_corrected_p90_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1))
        AFTER latency_corrected_p50_ms,
    ADD COLUMN IF NOT EXISTS latency_corrected_p99_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1))
        AFTER latency_corrected_p90_ms,
    ADD COLUMN IF NOT EXISTS latency_corrected_max_ms Nullable(Decimal(18, 4)) CODEC(ZSTD(1))
        AFTER latency_corrected_p99_ms;
