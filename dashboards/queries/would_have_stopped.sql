-- What would the policies that only observe have stopped, and what was spent after that?
-- Counts: calls that enforcing would have refused in the last since_seconds (0: ever), by policy and the agent whose call was the first of
-- its run; a call that several policies speak against counts for each. steps and usd are what went upstream from there on: the whole rest of
-- the run, where the refusal would have been final; else (a breaker, a rate gate, calls in flight, calls of no run) the step alone. It is an
-- upper bound of what would have been saved: an agent that is refused does something else. The line without a policy is all of it, each step
-- and dollar once. began, first_run and first_step say where the first call was.
-- Parameters: since_seconds = 604800, agent = ''. agent narrows.
WITH
    found AS
    (
        SELECT
            tenant, run_id, step_id, ts, policy, max(said.agent) AS agent, max(said.step_seq) AS step_seq,
            run_id != '' AND policy NOT IN ('breaker', 'rate_gate') AND max(reason IN ('in_flight', 'fault')) = 0 AS is_rest,
            concat(if(is_rest, 'run ', 'step '), if(is_rest, run_id, step_id)) AS place
        FROM
        (
            SELECT tenant, run_id, step_id, ts, verdict_policy AS policy, agent, ifNull(step_seq, 0) AS step_seq, verdict_reason AS reason
            FROM tacho.steps
            WHERE part = 0 AND verdict_action = 'would_block' AND verdict_policy != ''
                AND ({since_seconds:UInt32} = 0 OR ts > now64(6) - toIntervalSecond({since_seconds:UInt32}))
            UNION ALL
            SELECT tenant, run_id, step_id, ts, policy, agent, 0 AS step_seq, reason
            FROM tacho.events
            WHERE action = 'would_block' AND policy != ''
                AND ({since_seconds:UInt32} = 0 OR ts > now64(6) - toIntervalSecond({since_seconds:UInt32}))
        ) AS said
        WHERE {agent:String} = '' OR said.agent = {agent:String}
        GROUP BY tenant, run_id, step_id, ts, policy
    ),
    points AS
    (
        SELECT
            tenant, policy, is_rest, run_id, place, min(ts) AS at, count() AS calls,
            argMin(found.agent, (ts, step_id)) AS agent, argMin(found.step_seq, (ts, step_id)) AS step_seq
        FROM found
        GROUP BY tenant, policy, is_rest, run_id, place
    ),
    taken AS
    (
        SELECT
            tenant, arrayJoin([concat('run ', run_id), concat('step ', step_id)]) AS place, ts, step_id, attempt_id, part, cost_usd,
            part = 0 AND is_step AND NOT (outcome = 'blocked' AND ttfb_us IS NULL) AS is_work,
            usage_source IN ('partial', 'estimated') OR cost_source = 'assumed' AS is_estimated,
            is_work AND kind IN ('llm', 'embedding') AND cost_source = 'unpriced' AS is_unpriced
        FROM tacho.steps
        WHERE run_id GLOBAL IN (SELECT run_id FROM points WHERE is_rest) OR step_id GLOBAL IN (SELECT step_id FROM found)
    ),
    saved AS
    (
        SELECT
            tenant, points.policy AS policy, points.agent AS agent, taken.step_id AS step_id, taken.attempt_id AS attempt_id,
            taken.part AS part, taken.cost_usd AS cost_usd, taken.is_work AS is_work, taken.is_estimated AS is_estimated,
            taken.is_unpriced AS is_unpriced
        FROM points
        INNER JOIN taken USING (tenant, place)
        WHERE taken.ts >= points.at
        ORDER BY points.is_rest DESC, points.at, points.place
        LIMIT 1 BY tenant, policy, attempt_id, part
    )
SELECT
    counts.tenant AS tenant, counts.policy AS policy, counts.agent AS agent, runs, calls, began, first_run, first_step, steps, usd,
    estimated_rows, unpriced_attempts
FROM
(
    SELECT
        tenant, policy, agent, uniqExactIf(run_id, run_id != '') AS runs, sum(points.calls) AS calls, min(at) AS began,
        argMin(run_id, (at, place)) AS first_run, argMin(step_seq, (at, place)) AS first_step
    FROM points
    GROUP BY tenant, policy, agent
    UNION ALL
    SELECT
        '' AS tenant, '' AS policy, '' AS agent, uniqExactIf((tenant, run_id), run_id != '') AS runs, uniqExact(tenant, step_id, ts) AS calls,
        min(ts) AS began, argMin(run_id, (ts, step_id)) AS first_run, argMin(step_seq, (ts, step_id)) AS first_step
    FROM found
    HAVING calls > 0
) AS counts
LEFT JOIN
(
    SELECT
        tenant, policy, agent, uniqExactIf(step_id, is_work) AS steps, sum(cost_usd) AS usd, countIf(is_estimated) AS estimated_rows,
        countIf(is_unpriced) AS unpriced_attempts
    FROM saved
    GROUP BY tenant, policy, agent
    UNION ALL
    SELECT
        '' AS tenant, '' AS policy, '' AS agent, uniqExactIf((tenant, step_id), is_work) AS steps, sum(cost_usd) AS usd,
        countIf(is_estimated) AS estimated_rows, countIf(is_unpriced) AS unpriced_attempts
    FROM (SELECT * FROM saved LIMIT 1 BY tenant, attempt_id, part)
) AS spent ON spent.tenant = counts.tenant AND spent.policy = counts.policy AND spent.agent = counts.agent
ORDER BY policy = '', usd DESC NULLS LAST, calls DESC, policy, tenant, agent
