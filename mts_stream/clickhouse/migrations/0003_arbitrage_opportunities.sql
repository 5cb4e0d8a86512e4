-- One row per opportunity, at its best: the event with the highest net profit, the first of them when equal.
-- Prices are the average ones of the walk through the books, so that they, the size and the costs make the profit.
CREATE VIEW IF NOT EXISTS arbitrage_opportunities AS
SELECT
    pair AS symbol,
    best.1 AS exchange_buy,
    best.2 AS exchange_sell,
    best.3 AS buy_price,
    best.4 AS sell_price,
    best.5 AS profit_usd,
    CAST(best.6, 'Decimal(18, 6)') / 100 AS profit_percentage,
    best.7 AS timestamp
FROM
(
    SELECT
        pair,
        argMax(
            (buy_venue, sell_venue, buy_average_price, sell_average_price, net_usd, net_bps, event_time),
            (net_usd, -toInt64(event))
        ) AS best
    FROM opportunity_events FINAL
    GROUP BY pair, direction, opportunity_id
);
