-- How old is what the venues send when it arrives?
-- Columns: venue, market, seconds, p50_ms, p90_ms, p99_ms, max_ms, corrected_p50_ms, corrected_p99_ms
-- One row per venue and market: of the seconds' own p50, p90 and p99 the same quantile over all seconds and connections,
-- receive minus exchange time as the clocks stood; corrected: on the exchange's clock as it is estimated.
WITH now() - INTERVAL 1 DAY AS since
SELECT
    venue,
    market,
    count() AS seconds,
    round(quantile(0.5)(toFloat64(latency_p50_ms)), 3) AS p50_ms,
    round(quantile(0.9)(toFloat64(latency_p90_ms)), 3) AS p90_ms,
    round(quantile(0.99)(toFloat64(latency_p99_ms)), 3) AS p99_ms,
    max(latency_max_ms) AS max_ms,
    round(quantile(0.5)(toFloat64(latency_corrected_p50_ms)), 3) AS corrected_p50_ms,
    round(quantile(0.99)(toFloat64(latency_corrected_p99_ms)), 3) AS corrected_p99_ms
FROM feed_quality FINAL
WHERE type = 'connection' AND window_start >= since
GROUP BY venue, market
ORDER BY venue, market
