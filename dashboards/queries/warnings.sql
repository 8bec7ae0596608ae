-- Which limits were near, and whose?
-- Counts: warnings of policies in the last since_seconds (0: ever); each is told once a run (or caller, where there is no run) and
-- threshold. began and ended are the first and the last of them; last_run is the run of the last, empty where it was in none.
-- Parameters: since_seconds = 604800, agent = ''. agent narrows.
SELECT
    tenant,
    policy,
    reason,
    agent,
    uniqExactIf(run_id, run_id != '') AS runs,
    count() AS calls,
    min(ts) AS began,
    max(ts) AS ended,
    argMax(run_id, (ts, event_id)) AS last_run
FROM tacho.events
WHERE action = 'warn' AND policy != '' AND ({agent:String} = '' OR agent = {agent:String})
    AND ({since_seconds:UInt32} = 0 OR ts > now64(6) - toIntervalSecond({since_seconds:UInt32}))
GROUP BY tenant, policy, reason, agent
ORDER BY calls DESC, policy, reason, tenant, agent
