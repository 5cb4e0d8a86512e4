-- Why was there no signal? What the evaluations of each hour came to.
-- Columns: hour, outcome, evaluations, share
-- One row per hour and outcome, newest first, the most frequent first; `signal` is among them, so the shares of an hour
-- add up to 1. For one pair or direction add it to WHERE.
WITH now() - INTERVAL 7 DAY AS since
SELECT
    toStartOfHour(window_start) AS hour,
    outcome,
    sum(n) AS evaluations,
    round(evaluations / sum(evaluations) OVER (PARTITION BY hour), 6) AS share
FROM spreads_1s FINAL
ARRAY JOIN mapKeys(outcomes) AS outcome, mapValues(outcomes) AS n
WHERE window_start >= since
GROUP BY hour, outcome
ORDER BY hour DESC, evaluations DESC, outcome
