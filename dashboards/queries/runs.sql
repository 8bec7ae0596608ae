-- How did the latest runs go, and what did each of them take?
-- Counts: runs with a call or a reported outcome in the last since_seconds (0: ever), whole, however long ago they began. steps and
-- attempts are those of work (is_step, part = 0) that went upstream, refused are the calls that did not, would_refuse those that went and
-- would not have with policies that enforce what they observe; tokens and dollars are sums over all rows, parts and failed attempts included.
-- tool_calls: what models asked for, or what went through a tool or MCP route, whichever is more, since one call can be both.
-- Order: the run that is exactly asked for, then the latest begun first.
-- agent is who made the first call that has a name, else whom a report names, agents how many there were; children are runs that
-- branched off or were begun here.
-- outcome: the newest report, by run or by the id of one of its answers; else the event by which the proxy said that the run ended; else
-- open within 30 minutes of the last call, however that went, since a client may try again; else inferred from it, and never success.
-- last_error is how the last call failed. source is the least certain rung of the identity ladder that joined a row.
-- Parameters: since_seconds = 604800, agent = '', session = '', run = '', max_runs = 50. agent, session and run narrow; run is the
-- beginning of an id.
WITH
    ['explicit', 'harness', 'response_id', 'traceparent', 'new', 'continuation', 'echo', 'window', 'unmatched'] AS rungs,
    seen AS
    (
        SELECT tenant, run_id, max(last_ts) AS seen_at
        FROM
        (
            SELECT tenant, run_id, agent, session_id, ts AS last_ts FROM tacho.steps
            WHERE {since_seconds:UInt32} = 0 OR ts > now64(6) - toIntervalSecond({since_seconds:UInt32})
            UNION ALL
            SELECT tenant, run_id, agent, '' AS session_id, ts AS last_ts FROM tacho.events
            WHERE type = 'outcome' AND ({since_seconds:UInt32} = 0 OR ts > now64(6) - toIntervalSecond({since_seconds:UInt32}))
        )
        WHERE run_id != '' AND startsWith(run_id, {run:String}) AND ({agent:String} = '' OR agent = {agent:String})
            AND ({session:String} = '' OR session_id = {session:String})
        GROUP BY tenant, run_id
        ORDER BY run_id = {run:String} DESC, seen_at DESC, run_id
        LIMIT {max_runs:UInt32}
    ),
    calls AS
    (
        SELECT
            tenant,
            run_id,
            argMinIf(steps.agent, (ts, attempt_id), steps.agent != '') AS agent,
            argMinIf(steps.agent_source, (ts, attempt_id), steps.agent != '') AS agent_source,
            uniqExactIf(steps.agent, steps.agent != '') AS agents,
            argMaxIf(agent_version, (ts, attempt_id), agent_version != '') AS agent_version,
            argMinIf(session_id, (ts, attempt_id), session_id != '') AS session,
            max(root_run_id) AS root,
            max(parent_run_id) AS parent,
            rungs[max(indexOf(rungs, run_source))] AS source,
            min(ts) AS started,
            max(ts + toIntervalMicrosecond(ifNull(duration_us, 0))) AS ended,
            uniqExactIf(step_id, part = 0 AND is_step AND NOT (outcome = 'blocked' AND ttfb_us IS NULL)) AS steps,
            countIf(part = 0 AND is_step AND NOT (outcome = 'blocked' AND ttfb_us IS NULL)) AS attempts,
            uniqExactIf(step_id, part = 0 AND is_step AND attempt > 0 AND NOT (outcome = 'blocked' AND ttfb_us IS NULL)) AS retried_steps,
            greatest(
                sumIf(length(call_id), part = 0 AND outcome = 'completed'),
                uniqExactIf(step_id, part = 0 AND is_step AND NOT (outcome = 'blocked' AND ttfb_us IS NULL) AND kind IN ('tool', 'mcp'))) AS tool_calls,
            countIf(usage_source != 'none') > 0 AS is_counted,
            if(is_counted, sum(ifNull(tok_input, 0) + ifNull(tok_cache_read, 0) + ifNull(tok_cache_write, 0)
                + ifNull(tok_cache_write_long, 0) + ifNull(tok_audio_in, 0) + ifNull(tok_image_in, 0)), NULL) AS input_tokens,
            if(is_counted, sum(ifNull(tok_cache_read, 0)), NULL) AS cached_tokens,
            if(is_counted, sum(ifNull(tok_output, 0) + ifNull(tok_reasoning, 0) + ifNull(tok_audio_out, 0)), NULL) AS output_tokens,
            countIf(usage_source IN ('partial', 'estimated')) AS estimated_rows,
            sum(cost_usd) AS usd,
            countIf(cost_source = 'assumed') AS assumed_rows,
            countIf(part = 0 AND is_step AND kind IN ('llm', 'embedding') AND cost_source = 'unpriced') AS unpriced_attempts,
            countIf(part = 0 AND outcome = 'blocked' AND ttfb_us IS NULL) AS refused,
            countIf(part = 0 AND verdict_action = 'would_block') AS would_refuse,
            argMaxIf(outcome, (ts, attempt_id), part = 0 AND is_step) AS last_outcome,
            argMaxIf(if(error_type = '', outcome, error_type), (ts, attempt_id), part = 0 AND is_step) AS last_error,
            argMaxIf(verdict_action, (ts, attempt_id), part = 0 AND is_step) AS last_verdict
        FROM tacho.steps AS steps
        WHERE run_id GLOBAL IN (SELECT run_id FROM seen)
        GROUP BY tenant, run_id
    ),
    branches AS
    (
        SELECT tenant, parent_run_id, arraySort(groupUniqArray(run_id)) AS children FROM tacho.steps
        WHERE parent_run_id != '' AND parent_run_id GLOBAL IN (SELECT run_id FROM seen)
        GROUP BY tenant, parent_run_id
    ),
    ends AS
    (
        SELECT tenant, run_id, argMax(reason, (ts, event_id)) AS outcome, max(ts) AS said_at FROM tacho.events
        WHERE type = 'run_end' AND run_id GLOBAL IN (SELECT run_id FROM seen)
        GROUP BY tenant, run_id
    ),
    answers AS
    (
        SELECT DISTINCT tenant, run_id AS answered_run, response_id FROM tacho.steps
        WHERE response_id != '' AND run_id GLOBAL IN (SELECT run_id FROM seen)
    ),
    reports AS
    (
        SELECT
            tenant,
            if(run_id != '', run_id, answered_run) AS told_run,
            argMax(reason, (ts, event_id)) AS outcome,
            argMax(JSONExtractString(detail, 'reason'), (ts, event_id)) AS why,
            argMax(tuple(value), (ts, event_id)).1 AS told_value,
            argMaxIf(agent, (ts, event_id), agent != '') AS told_agent,
            max(ts) AS told_at
        FROM (SELECT *, JSONExtractString(detail, 'response_id') AS response_id FROM tacho.events WHERE type = 'outcome') AS told
        LEFT JOIN answers USING (tenant, response_id)
        GROUP BY tenant, told_run
    )
SELECT
    seen.tenant AS tenant,
    seen.run_id AS run,
    if(calls.agent = '', reports.told_agent, calls.agent) AS agent,
    calls.agent_version AS agent_version,
    calls.agent_source AS agent_source,
    calls.agents AS agents,
    calls.session AS session,
    calls.root AS root,
    calls.parent AS parent,
    branches.children AS children,
    calls.source AS source,
    if(calls.run_id = '', reports.told_at, calls.started) AS started,
    if(calls.run_id = '', NULL, dateDiff('microsecond', calls.started, calls.ended) / 1e6) AS seconds,
    multiIf(
        reports.outcome != '', reports.outcome,
        ends.outcome != '' AND ends.said_at >= calls.ended, ends.outcome,
        calls.ended > now64(6) - toIntervalMinute(30), 'open',
        calls.last_outcome = 'blocked' AND calls.last_verdict = 'block', 'capped',
        calls.last_outcome = 'client_abort', 'abandoned',
        calls.last_outcome NOT IN ('completed', ''), 'failure',
        'ended') AS outcome,
    if(reports.outcome != '', 'reported', 'inferred') AS outcome_source,
    reports.why AS outcome_reason,
    reports.told_value AS outcome_value,
    if(calls.last_outcome IN ('completed', ''), '', calls.last_error) AS last_error,
    calls.steps AS steps,
    calls.attempts AS attempts,
    calls.retried_steps AS retried_steps,
    calls.tool_calls AS tool_calls,
    calls.input_tokens AS input_tokens,
    calls.cached_tokens AS cached_tokens,
    calls.output_tokens AS output_tokens,
    calls.estimated_rows AS estimated_rows,
    calls.usd AS usd,
    calls.assumed_rows AS assumed_rows,
    calls.unpriced_attempts AS unpriced_attempts,
    calls.refused AS refused,
    calls.would_refuse AS would_refuse
FROM seen
LEFT JOIN calls ON calls.tenant = seen.tenant AND calls.run_id = seen.run_id
LEFT JOIN branches ON branches.tenant = seen.tenant AND branches.parent_run_id = seen.run_id
LEFT JOIN ends ON ends.tenant = seen.tenant AND ends.run_id = seen.run_id
LEFT JOIN reports ON reports.tenant = seen.tenant AND reports.told_run = seen.run_id
ORDER BY seen.run_id = {run:String} DESC, started DESC, seen.run_id
