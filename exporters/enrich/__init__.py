"""Records become rows: everything that is computed after the fact, computed once, before any destination."""
