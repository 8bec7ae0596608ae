-- How many lines has each minute of `replayed_calls.sql`, so that it can be asked for in pieces?
-- Counts: lines of that question by the minute of their begin, in microseconds since the epoch; minutes without any are left out.
-- Parameters: tenant = '', since_us = 0, history_us = 0. As there.
WITH
    roots AS
    (
        SELECT DISTINCT tenant, root_run_id FROM tacho.steps
        WHERE ts >= fromUnixTimestamp64Micro({since_us:Int64}) AND root_run_id != ''
    ),
    sessions AS
    (
        SELECT DISTINCT tenant, session_id FROM tacho.steps
        WHERE ts >= fromUnixTimestamp64Micro({since_us:Int64}) AND session_id != ''
    )
SELECT toUnixTimestamp(toStartOfMinute(ts)) * 1000000 AS minute_us, count() AS calls
FROM tacho.steps AS steps
WHERE true
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND (
        ts >= fromUnixTimestamp64Micro({history_us:Int64})
        OR (tenant, root_run_id) GLOBAL IN roots
        OR (tenant, session_id) GLOBAL IN sessions)
GROUP BY minute_us
ORDER BY minute_us
