-- Which calls were made, in the order of their begin, as `tacho whatif` asks other policies about them?
-- Counts: one line per attempt (part = 0), directly followed by one for each further model billed in its answer (part > 0), which has
-- nothing new but its tokens and dollars. Lines are those since history_us, and of all root runs and sessions with a call since
-- since_us, however long ago they began: what these had used by then counts, too.
-- Times are microseconds since the epoch. usd and output_usd (0 where nobody knows) are dollars, rate_input is that of a token.
-- Parameters: tenant = '', since_us = 0, history_us = 0, from_us = 0, until_us = 9000000000000000. tenant narrows; history_us is since_us or
-- earlier; from_us and until_us cut out a piece, since a store bounds what one answer may have (`replayed_minutes.sql` says where to cut).
WITH
    roots AS
    (
        SELECT DISTINCT tenant, root_run_id FROM tacho.steps
        WHERE ts >= fromUnixTimestamp64Micro({since_us:Int64}) AND root_run_id != ''
    ),
    sessions AS
    (
        SELECT DISTINCT tenant, session_id FROM tacho.steps
        WHERE ts >= fromUnixTimestamp64Micro({since_us:Int64}) AND session_id != ''
    )
SELECT
    toUnixTimestamp64Micro(ts) AS began_us,
    toUnixTimestamp64Micro(closed_at) AS closed_us,
    attempt_id,
    step_id,
    part,
    tenant,
    agent,
    agent_source,
    caller,
    session_id,
    root_run_id,
    parent_run_id,
    run_id,
    ifNull(turn_seq, 1) AS turn,
    ifNull(step_seq, 0) AS step,
    attempt,
    is_step,
    kind,
    route,
    provider,
    operation,
    model_requested,
    outcome,
    verdict_action,
    usage_source,
    ifNull(tok_input, 0) + ifNull(tok_cache_read, 0) + ifNull(tok_cache_write, 0) + ifNull(tok_cache_write_long, 0)
        + ifNull(tok_audio_in, 0) + ifNull(tok_image_in, 0) AS input_tokens,
    ifNull(tok_output, 0) + ifNull(tok_reasoning, 0) + ifNull(tok_audio_out, 0) AS output_tokens,
    ifNull(cost_usd, 0) AS usd,
    ifNull(cost_output_usd, 0) + ifNull(cost_reasoning_usd, 0) AS output_usd,
    ifNull(steps.rate_input, 0) AS rate_input,
    ctx_window,
    call_tool,
    call_args_hash
FROM tacho.steps AS steps
WHERE ts >= fromUnixTimestamp64Micro({from_us:Int64}) AND ts < fromUnixTimestamp64Micro({until_us:Int64})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND (
        ts >= fromUnixTimestamp64Micro({history_us:Int64})
        OR (tenant, root_run_id) GLOBAL IN roots
        OR (tenant, session_id) GLOBAL IN sessions)
ORDER BY ts, attempt_id, part
