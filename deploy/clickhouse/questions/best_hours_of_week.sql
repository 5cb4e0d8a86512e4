-- Which hours of the week are the best ones?
-- Columns: weekday, hour, opportunities, net_usd, mean_net_usd
-- At most 168 rows, the best first; weekday 1 is Monday, hours are in UTC. Four weeks, so that each hour has come four
-- times. An opportunity belongs to the hour in which it began, and counts once, at its best.
WITH now() - INTERVAL 28 DAY AS since
SELECT
    toDayOfWeek(began) AS weekday,
    toHour(began) AS hour,
    count() AS opportunities,
    sum(net) AS net_usd,
    round(toFloat64(net_usd) / opportunities, 4) AS mean_net_usd
FROM
(
    SELECT min(event_time) AS began, max(net_usd) AS net
    FROM opportunity_events FINAL
    WHERE event_time >= since
    GROUP BY pair, direction, opportunity_id
)
GROUP BY weekday, hour
ORDER BY net_usd DESC, weekday, hour
