-- How long do calls take, by model and step?
-- Counts: completed attempts of steps (part = 0), from admission to the terminal event or last byte, in milliseconds.
-- Retries count as attempts of their own; time to the first token exists for streams only. What was cut short is not in here.
SELECT
    agent,
    step_name,
    if(model_served = '', model_requested, model_served) AS model,
    count() AS attempts,
    round(quantile(0.5)(duration_us) / 1000) AS p50_ms,
    round(quantile(0.95)(duration_us) / 1000) AS p95_ms,
    round(quantile(0.99)(duration_us) / 1000) AS p99_ms,
    round(quantile(0.5)(ttft_us) / 1000) AS first_token_p50_ms,
    round(quantile(0.95)(ttft_us) / 1000) AS first_token_p95_ms,
    round(quantile(0.99)(overhead_us) / 1000, 3) AS proxy_p99_ms
FROM tacho.steps
WHERE ts > now() - INTERVAL 1 DAY AND part = 0 AND is_step AND outcome = 'completed'
GROUP BY agent, step_name, model
ORDER BY p95_ms DESC
