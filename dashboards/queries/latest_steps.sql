-- What happened last, step by step?
-- Counts: one line per attempt (part = 0), newest first; an attempt is one upstream exchange or one refusal.
-- A step that was retried has several lines with the same step_id; the one with the highest attempt is what the agent saw.
SELECT
    ts,
    agent,
    run_id,
    step_seq,
    attempt,
    step_name,
    kind,
    if(model_served = '', model_requested, model_served) AS model,
    outcome,
    error_type,
    http_status,
    duration_us / 1e6 AS seconds,
    tok_input + ifNull(tok_cache_read, 0) + ifNull(tok_cache_write, 0) + ifNull(tok_cache_write_long, 0) AS input_tokens,
    tok_output + ifNull(tok_reasoning, 0) AS output_tokens,
    cost_usd
FROM tacho.steps
WHERE part = 0
ORDER BY ts DESC
LIMIT 100
