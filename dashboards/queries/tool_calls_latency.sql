-- How long do tools take, and how often do they fail?
-- Counts: attempts (part = 0) of calls that went to a tool or MCP route through this proxy, not what a model asked for.
-- Answers of 4xx and 5xx and calls cut short are failures; the percentiles are over all attempts.
SELECT
    agent,
    route,
    step_name AS tool,
    count() AS attempts,
    countIf(outcome != 'completed') AS failures,
    round(failures / attempts, 4) AS failure_share,
    round(quantile(0.5)(duration_us) / 1000) AS p50_ms,
    round(quantile(0.95)(duration_us) / 1000) AS p95_ms,
    round(max(duration_us) / 1000) AS slowest_ms,
    sum(response_bytes) AS response_bytes
FROM tacho.steps
WHERE ts > now() - INTERVAL 1 DAY AND part = 0 AND is_step AND kind IN ('tool', 'mcp')
GROUP BY agent, route, tool
ORDER BY p95_ms DESC
