-- Which pairs leave the most money after costs, and where does the rest go?
-- Columns: pair, opportunities, net_usd, gross_usd, fees_usd, slippage_usd, carry_usd, kept_share, best_direction
-- At most 20 rows, the best first: net_usd = gross_usd - fees_usd - slippage_usd + carry_usd (fees_usd with those for
-- leaving, where they are counted), kept_share = net_usd / gross_usd, and the direction that left the most.
-- Each opportunity counts once, at its best.
WITH now() - INTERVAL 7 DAY AS since
SELECT
    pair,
    sum(n) AS opportunities,
    sum(net) AS net_usd,
    sum(gross) AS gross_usd,
    sum(fees) AS fees_usd,
    sum(slippage) AS slippage_usd,
    sum(carry) AS carry_usd,
    round(toFloat64(net_usd) / toFloat64(gross_usd), 4) AS kept_share,
    argMax(direction, net) AS best_direction
FROM
(
    SELECT
        pair,
        direction,
        count() AS n,
        sum(net_usd) AS net,
        sum(gross_usd) AS gross,
        sum(fees_usd * if(net_usd = net_round_trip_usd, 2, 1)) AS fees,
        sum(slippage_usd) AS slippage,
        sum(carry_usd) AS carry
    FROM
    (
        SELECT *
        FROM opportunity_events FINAL
        WHERE event_time >= since
        ORDER BY net_usd DESC, event
        LIMIT 1 BY pair, direction, opportunity_id
    )
    GROUP BY pair, direction
)
GROUP BY pair
ORDER BY net_usd DESC, pair
LIMIT 20
