"""Phase 5, meter: a copy of the answer becomes a `Reading`, `Usage` and `Cost`. Pure; the agent never waits for it."""
