-- Which rate and quota gates did calls find shut, and over which time?
-- Counts: calls in the last since_seconds (0: ever) that met a gate shut, refused ones and those that went on since it only observes,
-- by route and model. began and ended are the first and the last of them: a gate that nobody came to says nothing.
-- Parameters: since_seconds = 604800, agent = ''. agent narrows.
SELECT
    policy,
    route,
    model,
    countIf(action = 'block') AS refused,
    countIf(action = 'would_block') AS would_refuse,
    min(ts) AS began,
    max(ts) AS ended,
    dateDiff('microsecond', began, ended) / 1e6 AS seconds
FROM
(
    SELECT tenant, step_id, ts, policy, action, any(route) AS route, any(model) AS model
    FROM
    (
        SELECT tenant, step_id, ts, verdict_policy AS policy, verdict_action AS action, agent, route, model_requested AS model
        FROM tacho.steps
        WHERE part = 0
        UNION ALL
        SELECT tenant, step_id, ts, policy, action, agent, route, model FROM tacho.events
    )
    WHERE policy IN ('rate_gate', 'quota_gate') AND action IN ('block', 'would_block') AND ({agent:String} = '' OR agent = {agent:String})
        AND ({since_seconds:UInt32} = 0 OR ts > now64(6) - toIntervalSecond({since_seconds:UInt32}))
    GROUP BY tenant, step_id, ts, policy, action
)
GROUP BY policy, route, model
ORDER BY refused + would_refuse DESC, policy, route, model
