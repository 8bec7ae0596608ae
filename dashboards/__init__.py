"""Everything that people look at. Data, not code: `queries/*.sql` holds each question once, for every screen and report.

Nothing here imports `proxy` or `exporters`; the tables and columns of the store are the only contract.
"""
