-- What fails, and whose fault is it?
-- Counts: attempts (part = 0) that did not complete, out of all attempts on the same route and model; a failed attempt that was
-- retried with success counts as one failure. An agent that left (client_abort) is listed and is nobody's error.
SELECT
    route,
    model,
    outcome,
    error_type,
    failures,
    attempts,
    round(failures / attempts, 4) AS share,
    last_seen,
    wasted_usd
FROM
(
    SELECT
        route,
        if(model_served = '', model_requested, model_served) AS model,
        outcome,
        error_type,
        count() AS failures,
        sum(failures) OVER (PARTITION BY route, model) AS attempts,
        max(ts) AS last_seen,
        sum(cost_usd) AS wasted_usd
    FROM tacho.steps
    WHERE ts > now() - INTERVAL 1 DAY AND part = 0
    GROUP BY route, model, outcome, error_type
)
WHERE outcome != 'completed'
ORDER BY failures DESC
