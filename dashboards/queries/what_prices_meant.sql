-- What did the tokens cost that were billed lately: which rates stood behind each price version, and what came of them?
-- Counts: dollars of all rows, parts included; terms are JSON, dollars for a million tokens by unit.
-- terms is empty where the explanation has not arrived yet.
WITH
    terms AS (
        SELECT tuple(price_version, provider, model) AS place, any(terms) AS said FROM tacho.prices GROUP BY place
    ),
    spent AS (
        SELECT price_version, provider, model_served, model_requested, any(cost_source) AS source, count() AS priced, sum(cost_usd) AS usd
        FROM tacho.steps
        WHERE ts > now() - INTERVAL 7 DAY AND cost_usd IS NOT NULL
        GROUP BY price_version, provider, model_served, model_requested
    )
SELECT
    s.price_version AS price_version,
    s.provider AS provider,
    s.model_served AS model_served,
    s.model_requested AS model_requested,
    s.source AS source,
    s.priced AS priced,
    s.usd AS usd,
    if(served.said = '', requested.said, served.said) AS terms
FROM spent AS s
LEFT JOIN terms AS served ON served.place = tuple(s.price_version, s.provider, s.model_served)
LEFT JOIN terms AS requested ON requested.place = tuple(s.price_version, s.provider, s.model_requested)
ORDER BY usd DESC
