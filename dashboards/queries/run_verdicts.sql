-- What did the policies say of one run's calls, and with which numbers?
-- Counts: one line per event of a policy (refusals, what would have been one, warnings) in the order of the calls; a warning is told
-- once a run and threshold, of the others at most 20 a run and minute. The verdict that decided a call also stands in its row in steps.
-- scope is whose limit it was, value and threshold are dollars, seconds or pieces.
-- Parameters: tenant = '', run = ''. An empty tenant is the one that has the run; only with several tenants does it matter.
SELECT
    ts AS began,
    step_id,
    type,
    policy,
    action,
    reason,
    source AS scope,
    value,
    threshold,
    route,
    model,
    detail AS message
FROM tacho.events
WHERE run_id = {run:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND policy != '' AND action IN ('warn', 'would_block', 'block')
ORDER BY ts, action = 'warn', action, event_id
