-- What did one run do, attempt by attempt, and when?
-- Counts: one line per attempt (part = 0) of one run of one tenant, steps in the order in which they began, the attempts of a step
-- together. offset_seconds is from the run's first attempt; dollars are those of the attempt with all its parts, models billed inside.
-- Parameters: tenant = '', run = ''. An empty tenant is the one that has the run; only with several tenants does it matter.
WITH attempts AS
(
    SELECT
        attempt_id,
        anyIf(step_id, part = 0) AS step_id,
        anyIf(ts, part = 0) AS began,
        anyIf(step_seq, part = 0) AS step_seq,
        anyIf(turn_seq, part = 0) AS turn_seq,
        anyIf(attempt, part = 0) AS attempt,
        anyIf(retry_layer, part = 0) AS retry_layer,
        anyIf(is_step, part = 0) AS is_step,
        anyIf(kind, part = 0) AS kind,
        anyIf(step_name, part = 0) AS step_name,
        anyIf(agent, part = 0) AS agent,
        anyIf(run_source, part = 0) AS source,
        anyIf(route, part = 0) AS route,
        anyIf(if(model_served = '', model_requested, model_served), part = 0) AS model,
        anyIf(outcome, part = 0) AS outcome,
        anyIf(error_type, part = 0) AS error_type,
        anyIf(http_status, part = 0) AS http_status,
        anyIf(finish_reason, part = 0) AS finish_reason,
        anyIf(verdict_policy, part = 0) AS verdict_policy,
        anyIf(verdict_action, part = 0) AS verdict_action,
        anyIf(verdict_reason, part = 0) AS verdict_reason,
        anyIf(breaker_state, part = 0) AS breaker_state,
        anyIf(duration_us, part = 0) / 1e6 AS seconds,
        anyIf(ttft_us, part = 0) / 1e6 AS first_token_seconds,
        anyIf(call_tool, part = 0) AS asked_tools,
        anyIf(usage_source, part = 0) AS usage_source,
        anyIf(cost_source, part = 0) AS cost_source,
        countIf(part > 0) AS parts,
        if(countIf(steps.usage_source != 'none') = 0, NULL, sum(ifNull(tok_input, 0) + ifNull(tok_cache_read, 0) + ifNull(tok_cache_write, 0)
            + ifNull(tok_cache_write_long, 0) + ifNull(tok_audio_in, 0) + ifNull(tok_image_in, 0))) AS input_tokens,
        if(countIf(steps.usage_source != 'none') = 0, NULL, sum(ifNull(tok_cache_read, 0))) AS cached_tokens,
        if(countIf(steps.usage_source != 'none') = 0, NULL, sum(ifNull(tok_output, 0) + ifNull(tok_reasoning, 0) + ifNull(tok_audio_out, 0))) AS output_tokens,
        sum(cost_usd) AS usd
    FROM tacho.steps AS steps
    WHERE run_id = {run:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
    GROUP BY attempt_id
)
SELECT
    step_id,
    attempt_id,
    began,
    dateDiff('microsecond', min(began) OVER (), began) / 1e6 AS offset_seconds,
    step_seq,
    turn_seq,
    attempt,
    retry_layer,
    is_step,
    kind,
    step_name,
    agent,
    source,
    route,
    model,
    outcome,
    error_type,
    http_status,
    finish_reason,
    verdict_policy,
    verdict_action,
    verdict_reason,
    breaker_state,
    seconds,
    first_token_seconds,
    asked_tools,
    usage_source,
    cost_source,
    parts,
    input_tokens,
    cached_tokens,
    output_tokens,
    usd
FROM attempts
ORDER BY min(began) OVER (PARTITION BY step_id), step_id, attempt, began, attempt_id
