-- Which health breakers opened, how often, and for how long?
-- Counts: openings in the last since_seconds (0: ever) by upstream, route and model, each from when the breaker opened until a probe closed it
-- (or it opened once more without that, or now). half_open, and opening again after a failed probe, is a part of it. is_open: the last
-- one has not closed, perhaps since nobody called. began is the first opening, ended the end of the last.
-- Parameters: since_seconds = 604800.
SELECT
    route,
    model,
    upstream,
    count() AS openings,
    sum(lasted) AS seconds,
    max(lasted) AS longest_seconds,
    argMax(is_last, ts) AS is_open,
    min(ts) AS began,
    max(until) AS ended
FROM
(
    SELECT
        route,
        model,
        detail AS upstream,
        ts,
        action,
        count() OVER after AS later,
        later = 0 AS is_last,
        if(is_last, now64(6), min(ts) OVER after) AS until,
        dateDiff('microsecond', ts, until) / 1e6 AS lasted
    FROM tacho.events
    WHERE type = 'breaker' AND (action = 'closed' OR (action = 'open' AND reason = 'was_closed'))
    WINDOW after AS (PARTITION BY route, model, detail ORDER BY ts, event_id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
)
WHERE action = 'open' AND ({since_seconds:UInt32} = 0 OR ts > now64(6) - toIntervalSecond({since_seconds:UInt32}))
GROUP BY route, model, upstream
ORDER BY seconds DESC, route, model, upstream
