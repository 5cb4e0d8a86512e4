-- How often, how long and why could the books of a venue not be trusted?
-- Columns: venue, market, reason, times, invalid_s, share
-- One row per venue, market and reason, the longest first. share is of the time observed, over all its books: of 20
-- books that were watched for an hour, one that was invalid all the time makes 0.05.
WITH now() - INTERVAL 7 DAY AS since
SELECT venue, market, reason, times, round(ms / 1000, 3) AS invalid_s, round(ms / observed_ms, 6) AS share
FROM
(
    SELECT
        venue,
        market,
        reason,
        sum(invalidations[reason]) AS times,
        sum(states[reason]) AS ms,
        sum(ms) OVER (PARTITION BY venue, market) AS observed_ms
    FROM feed_quality FINAL
    ARRAY JOIN arrayDistinct(arrayConcat(mapKeys(states), mapKeys(invalidations))) AS reason
    WHERE type = 'book' AND window_start >= since
    GROUP BY venue, market, reason
)
WHERE reason != 'valid'
ORDER BY invalid_s DESC, venue, market, reason
