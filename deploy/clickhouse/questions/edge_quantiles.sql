-- How far apart are the venues, pair by pair, before any cost?
-- Columns: pair, direction, seconds, p01_bps, p10_bps, p50_bps, p90_bps, p99_bps, max_bps, positive_share
-- One row per pair and direction, the widest median first: quantiles over seconds of the second's mean edge at the
-- touch, the highest edge that was seen, and the share of seconds whose mean was above 0.
WITH
    now() - INTERVAL 7 DAY AS since,
    quantiles(0.01, 0.1, 0.5, 0.9, 0.99)(toFloat64(assumeNotNull(edge_mean_bps))) AS q
SELECT
    pair,
    direction,
    count() AS seconds,
    round(q[1], 4) AS p01_bps,
    round(q[2], 4) AS p10_bps,
    round(q[3], 4) AS p50_bps,
    round(q[4], 4) AS p90_bps,
    round(q[5], 4) AS p99_bps,
    max(edge_high_bps) AS max_bps,
    round(countIf(edge_mean_bps > 0) / seconds, 4) AS positive_share
FROM spreads_1s FINAL
WHERE window_start >= since AND edge_mean_bps IS NOT NULL
GROUP BY pair, direction
ORDER BY p50_bps DESC, pair, direction
