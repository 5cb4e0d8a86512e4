-- How long does a signal take, from the market's last word to Kafka, and on to a row here?
-- Columns: stage, signals, p50_ms, p90_ms, p99_ms, max_ms
-- Three rows. Event time is when a producer received the message that decided; sending and storing have clocks of their
-- own, so machines whose clocks differ show it here.
WITH now() - INTERVAL 1 DAY AS since, quantiles(0.5, 0.9, 0.99)(ms) AS q
SELECT
    stage,
    count() AS signals,
    round(q[1], 3) AS p50_ms,
    round(q[2], 3) AS p90_ms,
    round(q[3], 3) AS p99_ms,
    round(max(ms), 3) AS max_ms
FROM
(
    SELECT
        toUnixTimestamp64Nano(event_time) / 1e6 AS received_ms,
        toUnixTimestamp64Nano(emitted_time) / 1e6 AS sent_ms,
        toUnixTimestamp64Milli(stored_at) AS stored_ms
    FROM signals FINAL
    WHERE event_time >= since
)
ARRAY JOIN
    ['received to sent', 'sent to stored', 'received to stored'] AS stage,
    [sent_ms - received_ms, stored_ms - sent_ms, stored_ms - received_ms] AS ms
GROUP BY stage
ORDER BY indexOf(['received to sent', 'sent to stored', 'received to stored'], stage)
