-- What was refused here, by which policy, and whom did that concern?
-- Counts: calls (part = 0) that ended as blocked in the last since_seconds (0: ever) before anything came of them: they went nowhere and cost
-- nothing, unlike answers that were kept from the agent because of their tool calls. began and ended
-- are the first and the last of them; last_run is the run of the last, empty where it was in none.
-- Parameters: since_seconds = 604800, agent = ''. agent narrows.
SELECT
    tenant,
    verdict_policy AS policy,
    verdict_reason AS reason,
    agent,
    uniqExactIf(run_id, run_id != '') AS runs,
    count() AS calls,
    min(ts) AS began,
    max(ts) AS ended,
    argMax(run_id, (ts, attempt_id)) AS last_run
FROM tacho.steps
WHERE part = 0 AND outcome = 'blocked' AND ttfb_us IS NULL AND ({agent:String} = '' OR agent = {agent:String})
    AND ({since_seconds:UInt32} = 0 OR ts > now64(6) - toIntervalSecond({since_seconds:UInt32}))
GROUP BY tenant, policy, reason, agent
ORDER BY calls DESC, policy, reason, tenant, agent
