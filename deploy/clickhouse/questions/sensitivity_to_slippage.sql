-- What would be left of the same opportunities at other slippage?
-- Columns: slippage_bps, opportunities, still_profitable, net_usd, profitable_net_usd
-- One row per slippage per leg, in place of the one that was counted (SLIPPAGE_BPS). Each opportunity counts once, at its
-- best and at its size then.
WITH now() - INTERVAL 7 DAY AS since
SELECT
    slippage_bps,
    count() AS opportunities,
    countIf(net > 0) AS still_profitable,
    round(sum(net), 4) AS net_usd,
    round(sumIf(net, net > 0), 4) AS profitable_net_usd
FROM
(
    SELECT slippage_bps, without_usd - traded_usd * slippage_bps / 10000 AS net
    FROM
    (
        SELECT net_usd + slippage_usd AS without_usd, buy_notional + sell_notional AS traded_usd
        FROM opportunity_events FINAL
        WHERE event_time >= since
        ORDER BY net_usd DESC, event
        LIMIT 1 BY pair, direction, opportunity_id
    )
    ARRAY JOIN arrayMap(tenths -> toDecimal32(tenths / 10, 1), [0, 5, 10, 15, 20, 30, 50, 100]) AS slippage_bps
)
GROUP BY slippage_bps
ORDER BY slippage_bps
