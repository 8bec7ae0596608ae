-- Where does the money go, by model?
-- Counts: dollars of all rows, parts and failed attempts included, since all of them are billed; attempts are part = 0.
-- unpriced_attempts have no cost, assumed_usd stands on an assumed price: both say how far the sum can be trusted.
SELECT
    provider,
    if(model_served = '', model_requested, model_served) AS model,
    countIf(part = 0) AS attempts,
    sum(cost_usd) AS usd,
    if(countIf(usage_source != 'none') = 0, NULL, sum(ifNull(tok_input, 0) + ifNull(tok_cache_read, 0) + ifNull(tok_cache_write, 0)
        + ifNull(tok_cache_write_long, 0))) AS input_tokens,
    if(countIf(usage_source != 'none') = 0, NULL, sum(ifNull(tok_output, 0) + ifNull(tok_reasoning, 0))) AS output_tokens,
    sumIf(cost_usd, cost_source = 'assumed') AS assumed_usd,
    countIf(part = 0 AND kind IN ('llm', 'embedding') AND is_step AND cost_source = 'unpriced') AS unpriced_attempts
FROM tacho.steps
WHERE ts > now() - INTERVAL 7 DAY AND kind IN ('llm', 'embedding')
GROUP BY provider, model
ORDER BY usd DESC NULLS LAST, attempts DESC
