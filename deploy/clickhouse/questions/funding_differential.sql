-- What did funding pay to whoever held a perp long on one venue and short on the other?
-- Columns: pair, long_venue, short_venue, settled_at, long_rate, short_rate, differential_bps, carry_bps
-- One row per pair, two venues and settlement of either, in order: the rates that settled then (0 where that venue did
-- not settle), short minus long, and the running sum, which is the realised carry. Where it falls, the other way round
-- paid. A rate counts as it was last stated before its settlement.
WITH
    now() - INTERVAL 28 DAY AS since,
    settled AS
    (
        SELECT pair, venue, assumeNotNull(next_funding_time) AS settled_at, argMax(assumeNotNull(rate), event_time) AS last_rate
        FROM funding_rates FINAL
        WHERE market = 'perp' AND rate IS NOT NULL AND event_time >= since
            AND event_time <= next_funding_time AND next_funding_time <= now()
        GROUP BY pair, venue, settled_at
    ),
    ways AS
    (
        SELECT a.pair AS pair, a.venue AS long_venue, b.venue AS short_venue
        FROM (SELECT DISTINCT pair, venue FROM settled) AS a
        INNER JOIN (SELECT DISTINCT pair, venue FROM settled) AS b ON a.pair = b.pair
        WHERE a.venue < b.venue
    )
SELECT
    settled.pair AS pair,
    long_venue,
    short_venue,
    settled_at,
    sumIf(last_rate, venue = long_venue) AS long_rate,
    sumIf(last_rate, venue = short_venue) AS short_rate,
    round(10000 * (short_rate - long_rate), 4) AS differential_bps,
    sum(differential_bps) OVER (PARTITION BY pair, long_venue, short_venue ORDER BY settled_at) AS carry_bps
FROM settled
INNER JOIN ways ON settled.pair = ways.pair
WHERE venue IN (long_venue, short_venue)
GROUP BY pair, long_venue, short_venue, settled_at
ORDER BY pair, long_venue, short_venue, settled_at
