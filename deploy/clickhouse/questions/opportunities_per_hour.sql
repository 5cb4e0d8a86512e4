-- How many opportunities began in each hour, by pair and direction, and what was left of them after all costs?
-- Columns: hour, pair, direction, opportunities, net_usd, best_net_usd, net_bps
-- One row per hour, pair and direction that had any, newest first. Each opportunity counts once, at its best; net_bps
-- is the sum of what was left over the sum of what was bought.
WITH now() - INTERVAL 7 DAY AS since
SELECT
    toStartOfHour(began) AS hour,
    pair,
    direction,
    count() AS opportunities,
    sum(net) AS net_usd,
    max(net) AS best_net_usd,
    round(10000 * toFloat64(sum(net)) / toFloat64(sum(bought)), 4) AS net_bps
FROM
(
    SELECT
        pair,
        direction,
        min(event_time) AS began,
        max(net_usd) AS net,
        argMax(buy_notional, (net_usd, -toInt64(event))) AS bought
    FROM opportunity_events FINAL
    WHERE event_time >= since
    GROUP BY pair, direction, opportunity_id
)
GROUP BY hour, pair, direction
ORDER BY hour DESC, net_usd DESC, pair, direction
