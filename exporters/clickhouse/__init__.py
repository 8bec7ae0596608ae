"""The destination ClickHouse: the schema, the sink, and chDB behind the same HTTP interface as a child process."""
