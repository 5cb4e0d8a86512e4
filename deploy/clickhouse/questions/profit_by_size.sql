-- What do opportunities make, by how much could be bought?
-- Columns: bought_from_usd, opportunities, net_usd, mean_net_usd, net_bps
-- One row per class of size that had any; bought_from_usd is its lower end. Each opportunity counts once, at its best.
WITH now() - INTERVAL 7 DAY AS since
SELECT
    roundDown(toFloat64(bought), [0, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000]) AS bought_from_usd,
    count() AS opportunities,
    sum(net) AS net_usd,
    round(toFloat64(net_usd) / opportunities, 4) AS mean_net_usd,
    round(10000 * toFloat64(net_usd) / toFloat64(sum(bought)), 4) AS net_bps
FROM
(
    SELECT max(net_usd) AS net, argMax(buy_notional, (net_usd, -toInt64(event))) AS bought
    FROM opportunity_events FINAL
    WHERE event_time >= since
    GROUP BY pair, direction, opportunity_id
)
GROUP BY bought_from_usd
ORDER BY bought_from_usd
