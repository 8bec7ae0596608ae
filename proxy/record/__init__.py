"""Phase 6, record: the records of an exchange, their bytes, and the spool that outlives the process."""
