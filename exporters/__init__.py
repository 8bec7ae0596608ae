"""Everything behind the spool: records become rows, and rows reach their destinations. No agent ever waits for it.

    raw spool → reader → `enrich/` → row log → delivery → one destination each

- The reader follows every worker's spool, dead or alive, and deletes what is enriched and behind the worker's checkpoint.
- `enrich/` turns the records of an exchange into rows, once. Rows and progress are one atomic append to the row log, so
  each destination sees the same rows, and a token always means the same bytes.
- Delivery gives each destination its own cursor, batches, retries and dead-letter file: one that hangs delays no other.
- A destination is one file or folder (`clickhouse/`, `jsonl.py`); it delivers a batch or raises, and knows no other.

This process can be killed, hang or be down for an hour: nothing is lost and no agent notices. It shares with `proxy` only
the vocabulary, the record format and framing, the settings, and the plumbing of health and metrics.
"""
