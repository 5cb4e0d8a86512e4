-- What would be left of the same opportunities at other fees?
-- Columns: fee_factor, opportunities, still_profitable, net_usd, profitable_net_usd
-- One row per factor: 1 is what was paid, 0.5 half of it, on both legs. Each opportunity counts once, at its best and at
-- its size then. Lower fees would also have made opportunities that are not here, so for them it is a lower bound.
WITH now() - INTERVAL 7 DAY AS since
SELECT
    fee_factor,
    count() AS opportunities,
    countIf(net > 0) AS still_profitable,
    round(sum(net), 4) AS net_usd,
    round(sumIf(net, net > 0), 4) AS profitable_net_usd
FROM
(
    SELECT fee_factor, net_usd + (1 - fee_factor) * all_fees_usd AS net
    FROM
    (
        SELECT net_usd, fees_usd * if(net_usd = net_round_trip_usd, 2, 1) AS all_fees_usd
        FROM opportunity_events FINAL
        WHERE event_time >= since
        ORDER BY net_usd DESC, event
        LIMIT 1 BY pair, direction, opportunity_id
    )
    ARRAY JOIN arrayMap(percent -> toDecimal32(percent / 100, 2), [0, 25, 50, 75, 90, 100, 110, 125, 150, 200]) AS fee_factor
)
GROUP BY fee_factor
ORDER BY fee_factor
