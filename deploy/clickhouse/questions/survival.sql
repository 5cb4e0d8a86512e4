-- How long do opportunities live? The share of those that are over which was still there after so many milliseconds.
-- Columns: direction, after_ms, alive, closed, share
-- Eleven rows per direction, after_ms 0 to 60000; share falls from row to row. Durations are in event time.
WITH now() - INTERVAL 7 DAY AS since
SELECT
    direction,
    after_ms,
    countIf(duration_ns > after_ms * 1000000) AS alive,
    count() AS closed,
    round(alive / closed, 4) AS share
FROM opportunities FINAL
ARRAY JOIN [0, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 60000] AS after_ms
WHERE state = 'closed' AND event_time >= since
GROUP BY direction, after_ms
ORDER BY direction, after_ms
